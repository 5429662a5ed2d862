"""A cascade in an engine: its members' networks run compiled, and its rule as it stands."""

import copy
import statistics
import time
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from dyncore.cascade import Cascade, Member
from dyncore.cost import BlockCost, CostTable, PathCost, Profile
from dyncore.engine._comparison import Comparison
from dyncore.engine._network import Backends, output_of
from dyncore.engine._runner import Runner, check_images
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output

Asked: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Images in [0, 1] → logits and MACs: a member in the form in which it runs."""
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
        self._cascade, self._image = cascade, example[:1].detach().clone()
        self._threads = backends.threads
        self._members = tuple(
            EngineMember(member, self._image, backends)
            if isinstance(member.run, DynamicNetwork)
            else member
            for member in cascade.members
        )
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
        times = [round(1e9 * _median_seconds(member, images) / batch) for member in self._members]
        table = CostTable(
            input_size=(images.shape[1], images.shape[2], images.shape[3]),
            static=times[-1],
            stem=0,
            head=0,
            blocks=tuple(
                BlockCost(gated=index > 0, router=0, shortcut=0, paths=(PathCost((taken,)),))
                for index, taken in enumerate(times)
            ),
            unit="ns",
        )
        modules = tuple(
            f"member {index}" for index, m in enumerate(self._members) if isinstance(m, Member)
        )
        return Profile(str(images.device), self._threads, batch, table, modules)

    def source(self) -> tuple[object, Tensor]:
        """See :meth:`Runner.source`."""
        return self._cascade, self._image


class EngineMember:
    """A member whose network is planned, with its normalisation in the stem."""

    def __init__(self, member: Member, image: Tensor, backends: Backends) -> None:
        """``image`` (1, 3, H, W) is like the cascade's images to come, of any size."""
        assert isinstance(member.run, DynamicNetwork)
        network = copy.deepcopy(member.run).eval().requires_grad_(False)
        weight = next(network.parameters())
        if (image.dtype, image.device) != (weight.dtype, weight.device):
            raise ValueError(
                f"example_input is {image.dtype} on {image.device}, but {member.name} is "
                f"{weight.dtype} on {weight.device}: move one of them"
            )
        self._member = member
        self._backend = backends.backend(network, member.resize(image), member.preprocessing)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """See :meth:`Member.__call__`."""
        resized = self._member.resize(images)
        parts = self._backend(resized, None)
        if len(parts) == 1 and not self._member.decides:
            return self._member.read(parts[0].logits)
        return self._member.read(output_of(parts, resized))


@torch.no_grad()
def _median_seconds(member: Asked, images: Tensor) -> float:
    taken = []
    for _ in range(TURNS + 1):
        start = time.perf_counter()
        member(images)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
