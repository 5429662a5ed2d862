"""A network in an engine."""

import copy
import ctypes
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from dyncore.cost import Profile
from dyncore.data import Preprocessing
from dyncore.engine._agreement import check_answer
from dyncore.engine._backend import Backend
from dyncore.engine._comparison import Comparison, compare
from dyncore.engine._executor import Part
from dyncore.engine._precision import PRECISIONS, Precision, checked_images, keeps_answers
from dyncore.engine._runner import Runner, check_images
from dyncore.engine._times import budget_for
from dyncore.engine.cuda import CudaBackend
from dyncore.engine.native import (
    BFLOAT16,
    NativeBackend,
    Team,
    can_round,
    library,
    multiplies_bfloat16,
    supported,
)
from dyncore.engine.plan import Plan, plan
from dyncore.engine.torch import TorchBackend
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output


class Backends:
    """Chooses what plans run on; those of compiled code share one team of threads."""

    def __init__(
        self, threads: int, *, portable: bool = False, precision: Precision | None = None
    ) -> None:
        """``portable``: without compiled code. ``precision``: None: the fastest that keeps answers.

        Raises ValueError for bfloat16 without compiled code.
        """
        if portable and precision == "bf16":
            raise ValueError("precision 'bf16' needs compiled code: leave portable=True out")
        self.threads, self._portable, self._precision = threads, portable, precision
        self._teams: dict[ctypes.CDLL, Team] = {}

    def backend(
        self,
        model: DynamicNetwork,
        images: Tensor,
        preprocessing: Preprocessing | None = None,
        *,
        first: int | None = None,
    ) -> Backend:
        """``model``, ready for images like ``images`` (B, C, H, W).

        With ``preprocessing`` images are in [0, 1], and it is done, too, but for resizing. With
        ``first`` they are what the block of that number is given, and it is the first one to run.
        Raises ValueError for a precision that cannot be had.
        """
        if self._precision is not None and (images.is_cuda or images.dtype != torch.float32):
            raise ValueError(
                f"precision {self._precision!r} is for networks in float32 on a CPU, but this one "
                f"is {images.dtype} on {images.device}: leave precision out"
            )
        planned = plan(model, images[:1], preprocessing, first=first)
        exact = self._exact(planned, images)
        if first is None:
            check_answer(exact, model, images[:1], preprocessing)
        rounded = self._rounded(planned, images) if isinstance(exact, NativeBackend) else None
        if rounded is None and self._precision == "bf16":
            raise ValueError(
                "precision 'bf16' needs a processor with bfloat16 instructions (AVX512-BF16), a "
                "compiler that knows them, and a network that compiled code knows: leave precision "
                "out to run this one here in float32"
            )
        if rounded is None or self._precision == "bf16":
            return rounded or exact
        many = checked_images(images)
        keeps = keeps_answers(rounded(many, None), exact(many, None), planned.depth)
        return rounded if keeps else exact

    def _exact(self, planned: Plan, images: Tensor) -> Backend:
        """In the model's own type."""
        if images.is_cuda:
            return CudaBackend(planned)
        code = None if self._portable or not supported(planned) else library(images.dtype)
        if code is None:
            return TorchBackend(planned, self.threads)
        return NativeBackend(planned, images, self._team(code))

    def _rounded(self, planned: Plan, images: Tensor) -> NativeBackend | None:
        """In bfloat16; None: not wanted, or not on this processor."""
        wanted = images.dtype == torch.float32 and self._precision != "fp32"
        if not wanted or not can_round(planned) or not multiplies_bfloat16():
            return None
        code = library(torch.float32, BFLOAT16)
        if code is None:
            return None
        return NativeBackend(planned, images, self._team(code), rounds=True)

    def _team(self, code: ctypes.CDLL) -> Team:
        if code not in self._teams:
            self._teams[code] = Team(code, self.threads)
        return self._teams[code]


class NetworkRunner(Runner):
    """See :class:`dyncore.Engine`."""

    def __init__(self, model: DynamicNetwork, example: Tensor, backends: Backends) -> None:
        self._example = _checked_example(model, example)
        self._image = self._example[:1]
        self._threads = backends.threads
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        self.backend = backends.backend(self._model, self._example)

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> Output:
        """See :meth:`dyncore.Engine.__call__`."""
        check_images(images, self._image)
        if images.shape[0] == 0:
            raise ValueError("images is an empty batch: give at least one image")
        self._model.check_path(images.shape[0], path)
        return output_of(self.backend(images, path), images)

    def compare(self, images: Tensor) -> Comparison:
        """See :meth:`dyncore.Engine.compare`."""
        exact = copy.deepcopy(self._model).double()
        return compare(self._model, exact, images, self(images, None))

    def profile(self, batch: int) -> Profile:
        """See :meth:`dyncore.Engine.profile`."""
        images = self._image.expand(batch, -1, -1, -1).contiguous()
        table, modules = self.backend.profile(images), self.backend.modules
        return Profile(
            str(images.device),
            self._threads,
            batch,
            table,
            modules,
            self.precision,
        )

    @torch.inference_mode()  # where an engine may have been built
    def set_budget(self, budget: float | None) -> None:
        """See :meth:`dyncore.Engine.set_budget`. Gates as weights share their thresholds."""
        self._model.set_budget(budget)

    def set_milliseconds(self, ms: float) -> None:
        """See :meth:`dyncore.Engine.set_budget`."""
        dial = self._model.dial
        if dial is None:
            self.set_budget(1.0)  # says what is missing
            return
        self.set_budget(budget_for(ms, dial, self._model, self._example, self.backend))

    @property
    def precision(self) -> str:
        """See :attr:`dyncore.Engine.precision`."""
        return precision_of(self.backend, self._image)

    def source(self) -> tuple[object, Tensor]:
        """See :meth:`Runner.source`."""
        return self._model, self._example


def precision_of(backend: Backend, images: Tensor) -> str:
    """See :attr:`dyncore.Engine.precision`."""
    rounded = isinstance(backend, NativeBackend) and backend.rounds
    return "bf16" if rounded else PRECISIONS[images.dtype]


def output_of(parts: list[Part], images: Tensor) -> Output:
    """Parts of a batch as one output."""
    if len(parts) == 1:
        (all_of_it,) = parts
        return Output(
            logits=all_of_it.logits,
            path=ExecutionPath(all_of_it.decisions),
            router_features=all_of_it.router_features,
            pooled=all_of_it.pooled,
            images=images,
            features=all_of_it.features,
        )
    paths = [ExecutionPath(part.decisions) for part in parts]
    blocks = range(len(paths[0]))
    return Output(
        logits=torch.cat([part.logits for part in parts]),
        path=paths[0].map(lambda *of_parts: torch.cat(of_parts), *paths[1:]),
        router_features=[_cat([part.router_features[block] for part in parts]) for block in blocks],
        pooled=[_cat([part.pooled[block] for part in parts]) for block in blocks],
        images=images,
        features=torch.cat([part.features for part in parts]),
    )


def _cat(tensors: list[Tensor | None]) -> Tensor | None:
    known = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(known) if known else None


def _checked_example(model: DynamicNetwork, images: Tensor) -> Tensor:
    """A copy, if the model can take it."""
    weight = next(model.parameters())
    channels = model.config.backbone.in_channels
    if images.ndim != 4 or images.shape[1] != channels or len(images) == 0:
        raise ValueError(
            f"example_input has shape {tuple(images.shape)}, but (batch, {channels}, height, "
            "width) with at least one image is needed"
        )
    holds_others: Callable[[object], bool] = is_traceable_wrapper_subclass
    for name, tensor in model.named_parameters():
        if holds_others(tensor):
            raise ValueError(
                f"{name} is a {type(tensor).__name__}: an engine packs plain weights; build it "
                "from the network before it was quantised or sharded"
            )
    if (images.dtype, images.device) != (weight.dtype, weight.device):
        raise ValueError(
            f"example_input is {images.dtype} on {images.device}, but the model is "
            f"{weight.dtype} on {weight.device}: move one of them"
        )
    return images.detach().clone()
