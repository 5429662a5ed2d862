"""A network in an engine."""

import copy
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
from dyncore.engine._runner import Runner, check_images
from dyncore.engine.cuda import CudaBackend
from dyncore.engine.native import NativeBackend, Team, library, supported
from dyncore.engine.plan import Plan, plan
from dyncore.engine.torch import TorchBackend
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output


class Backends:
    """Chooses what plans run on; those of compiled code share one team of threads."""

    def __init__(self, threads: int, *, portable: bool) -> None:
        """``portable``: without compiled code."""
        self.threads, self._portable = threads, portable
        self._teams: dict[torch.dtype, Team] = {}

    def backend(
        self,
        model: DynamicNetwork,
        image: Tensor,
        preprocessing: Preprocessing | None = None,
        *,
        first: int | None = None,
    ) -> Backend:
        """``model``, ready for images like ``image`` (1, C, H, W).

        With ``preprocessing`` images are in [0, 1], and it is done, too, but for resizing. With
        ``first`` they are what the block of that number is given, and it is the first one to run.
        """
        made = self._backend(plan(model, image, preprocessing, first=first), image)
        if first is None:
            check_answer(made, model, image, preprocessing)
        return made

    def _backend(self, planned: Plan, image: Tensor) -> Backend:
        if image.is_cuda:
            return CudaBackend(planned)
        team = None if self._portable else self._team(planned, image.dtype)
        if team is None:
            return TorchBackend(planned, self.threads)
        return NativeBackend(planned, image, team)

    def _team(self, planned: Plan, dtype: torch.dtype) -> Team | None:
        """None: the plan does not run in compiled code here."""
        code = library(dtype) if supported(planned) else None
        if code is None:
            return None
        if dtype not in self._teams:
            self._teams[dtype] = Team(code, self.threads)
        return self._teams[dtype]


class NetworkRunner(Runner):
    """See :class:`dyncore.Engine`."""

    def __init__(self, model: DynamicNetwork, example: Tensor, backends: Backends) -> None:
        self._image = _checked_example(model, example)
        self._threads = backends.threads
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        self.backend = backends.backend(self._model, self._image)

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
        table, modules = self.backend.profile(images), self.backend.plan.modules
        return Profile(str(images.device), self._threads, batch, table, modules)

    def source(self) -> tuple[object, Tensor]:
        """See :meth:`Runner.source`."""
        return self._model, self._image


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
    """Its first image, if the model can take it."""
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
    return images[:1].detach().clone()
