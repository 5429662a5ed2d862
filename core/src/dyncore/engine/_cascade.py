"""A cascade in an engine: its members' networks run compiled, and its rule as it stands."""

import copy
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dyncore.cascade import Cascade, Member, Said, in_turn, members_table
from dyncore.cost import Profile
from dyncore.engine._backend import Backend
from dyncore.engine._comparison import Comparison
from dyncore.engine._network import Backends, output_of, precision_of
from dyncore.engine._precision import PRECISIONS
from dyncore.engine._runner import Runner, check_images
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output

TURNS = 7
"""Runs of each member in a profile, of which the median counts, after one that does not."""


class CascadeRunner(Runner):
    """Members that are networks of ours in engines that share their threads; others as they are.

    Who goes on is the cascade's business: its thresholds, cap and temperatures are those of the
    time of the call, and its hooks see every output.
    """

    def __init__(self, cascade: Cascade, example: Tensor, backends: Backends) -> None:
        if len(example) == 0:
            raise ValueError("example_input has no image: give at least one")
        self._cascade, self._example = cascade, example.detach().clone()
        self._image = self._example[:1]
        self._threads = backends.threads
        self._members = _planned(cascade.members, self._example, backends)
        cascade.forward(self._image, members=self._members)  # refuses an example that is no image

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> Output:
        """See :meth:`dyncore.Engine.__call__`."""
        if path is not None:
            raise ValueError("a cascade takes no path: set cascade.thresholds to send images on")
        check_images(images, self._image)
        output: Output = self._cascade(images, members=self._members)
        return output

    def compare(self, images: Tensor) -> Comparison:
        """Refused: members that are not ours have no float64 to compare with."""
        raise ValueError(
            "an engine of a cascade has no compare(): compare Engine(network, example) of each "
            "member, or the outputs of engine(images) and cascade(images)"
        )

    def profile(self, batch: int) -> Profile:
        """Each member as a block of one path, as in the cascade's cost table, in ns."""
        images = self._image.expand(batch, -1, -1, -1).contiguous()
        asks = in_turn(self._members, images)
        *times, alone = [round(1e9 * _median_seconds(ask, images.device) / batch) for ask in asks]
        size = (images.shape[1], images.shape[2], images.shape[3])
        table = members_table(times, alone, size, "ns")
        modules = tuple(
            f"member {index}" for index, m in enumerate(self._members) if isinstance(m, Member)
        )
        where = str(images.device), self._threads, batch
        return Profile(*where, table, modules, self.precision)

    def set_budget(self, budget: float | None) -> None:
        """See :meth:`dyncore.Cascade.set_budget`."""
        if budget is None:
            raise ValueError("a cascade has no thresholds but those of a budget: give one")
        self._cascade.set_budget(budget)

    def set_milliseconds(self, ms: float) -> None:
        """Refused: its thresholds are chosen on images."""
        raise ValueError(
            f"a cascade is calibrated for milliseconds: cascade.calibrate(batches, ms={ms:g})"
        )

    @property
    def precision(self) -> str:
        """See :attr:`dyncore.Engine.precision`."""
        ours = {m.precision for m in self._members if isinstance(m, EngineMember)}
        return "bf16" if "bf16" in ours else PRECISIONS[self._image.dtype]

    def source(self) -> tuple[object, Tensor]:
        """See :meth:`Runner.source`."""
        return self._cascade, self._example


class EngineMember:
    """A member whose network is planned, with its normalisation in the stem."""

    def __init__(
        self, member: Member, images: Tensor, backends: Backends, features: Tensor | None
    ) -> None:
        """``images`` (B, 3, H, W) are like the cascade's images to come, of any size.

        ``features`` are what the member before gives for them, if this one goes on from there.
        """
        assert isinstance(member.run, DynamicNetwork)
        network = copy.deepcopy(member.run).eval().requires_grad_(False)
        weight = next(network.parameters())
        if (images.dtype, images.device) != (weight.dtype, weight.device):
            raise ValueError(
                f"example_input is {images.dtype} on {images.device}, but {member.name} is "
                f"{weight.dtype} on {weight.device}: move one of them"
            )
        self._member = member
        self._backend = backends.backend(network, member.resize(images), member.preprocessing)
        self.precision = precision_of(self._backend, images)
        self.rest: Backend | None = None
        if member.rest is not None and features is not None:
            self.rest = backends.backend(network, features, first=member.rest.first)

    def resume(self, features: Tensor) -> Said:
        """See :meth:`Member.resume`."""
        assert self.rest is not None
        return self._member.read_rest(output_of(self.rest(features, None), features))

    def ask(self, images: Tensor) -> Said:
        """See :meth:`Member.ask`."""
        resized = self._member.resize(images)
        parts = self._backend(resized, None)
        if len(parts) == 1 and not self._member.decides:
            return self._member.read(parts[0].logits)._replace(features=parts[0].features)
        return self._member.read(output_of(parts, resized))


@torch.no_grad()
def _planned(
    members: Sequence[Member], image: Tensor, backends: Backends
) -> tuple[EngineMember | Member, ...]:
    """Networks of ours planned; one that goes on from the member before, from its features on."""
    planned: list[EngineMember | Member] = []
    for member in members:
        features = None if member.rest is None else planned[-1].ask(image).features
        ours = isinstance(member.run, DynamicNetwork)
        planned.append(EngineMember(member, image, backends, features) if ours else member)
    return tuple(planned)


@torch.no_grad()
def _median_seconds(ask: Callable[[], object], device: torch.device) -> float:
    taken = []
    for _ in range(TURNS + 1):
        start = time.perf_counter()
        ask()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
