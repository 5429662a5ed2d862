"""The skipping runtime."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import Path
from dyncore.cost import Profile
from dyncore.engine._backend import Backend
from dyncore.engine._comparison import Comparison, compare
from dyncore.engine._executor import Part
from dyncore.engine.cuda import CudaBackend
from dyncore.engine.native import NativeBackend, library, supported
from dyncore.engine.plan import Plan, plan
from dyncore.engine.torch import TorchBackend
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output


class Engine:
    """A trained network, ready to run only what each image chooses.

    It answers as ``model(images)`` does in evaluation, up to rounding, and holds weights of its
    own: later changes of the model do not reach it. Several threads may call it at once.
    """

    def __init__(
        self,
        model: DynamicNetwork,
        example_input: Float[Tensor, "batch 3 height width"],
        *,
        threads: int | None = None,
        portable: bool = False,
    ) -> None:
        """Plan, fold and pack ``model`` for normalised images like ``example_input``.

        The batch size may differ from call to call; height, width, dtype and device may not.
        ``threads`` defaults to torch's setting. ``portable`` does without compiled code, which is
        otherwise used on a CPU where it works. Building takes about a second, and some more the
        first time on a machine, when code is compiled. Raises ValueError for an input the model
        cannot take.
        """
        image = _checked_example(model, example_input)
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.threads = threads or torch.get_num_threads()
        self.portable = portable
        self._image = image
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        planned = plan(self._model, image)
        self._backend = _backend(planned, image, self.threads, portable=portable)

    def __call__(
        self,
        images: Float[Tensor, "batch 3 height width"],
        *,
        path: ExecutionPath | None = None,
    ) -> Output:
        """The same as ``model(images, path=path)`` in evaluation; ``images`` are normalised.

        Raises ValueError for images of another size, dtype or device than the example's.
        """
        self._check(images)
        self._model.check_path(images.shape[0], path)
        return _output(self._backend(images, path), images)

    def compare(self, images: Float[Tensor, "batch 3 height width"]) -> Comparison:
        """Count where this engine and the model it was built from differ, and by how much.

        Both are compared with the model in float64. Raises ValueError as a call does.
        """
        exact = copy.deepcopy(self._model).double()
        return compare(self._model, exact, images, self(images))

    def profile(self, batch: int = 1) -> Profile:
        """Measure what stem, head and each block's router, shortcut and paths take here.

        Times are per image of a batch of ``batch``, with all of its images alike; they add up to
        less than a run where caches do not hold all weights. Raises ValueError for no images.
        """
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        images = self._image.expand(batch, -1, -1, -1).contiguous()
        modules = tuple(
            f"block {index} path {n}"
            for index, block in enumerate(self._backend.plan.blocks)
            for n, path in enumerate(block.paths)
            if isinstance(path, Path)
        )
        table = self._backend.profile(images)
        return Profile(str(images.device), self.threads, batch, table, modules)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self._model, self._image, self.threads, self.portable)

    def _check(self, images: Tensor) -> None:
        expected = self._image
        for name in ("dtype", "device"):
            if getattr(images, name) != getattr(expected, name):
                raise ValueError(
                    f"images have {name} {getattr(images, name)}, but this engine was built for "
                    f"{getattr(expected, name)}: convert them, or build another engine"
                )
        if images.ndim != 4 or images.shape[1:] != expected.shape[1:]:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, but this engine was built for "
                f"(batch, {', '.join(map(str, expected.shape[1:]))}): resize them, or build "
                "another engine with an example of that size"
            )
        if images.shape[0] == 0:
            raise ValueError("images is an empty batch: give at least one image")


def _backend(planned: Plan, image: Tensor, threads: int, *, portable: bool) -> Backend:
    if image.is_cuda:
        return CudaBackend(planned)
    code = None if portable or not supported(planned) else library(image.dtype)
    return (
        TorchBackend(planned, threads)
        if code is None
        else NativeBackend(planned, image, threads, code)
    )


def _checked_example(model: DynamicNetwork, images: Tensor) -> Tensor:
    """Its first image, if the model can take it."""
    weight = next(model.parameters())
    if images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise ValueError(
            f"example_input has shape {tuple(images.shape)}, but (batch, 3, height, width) with at "
            "least one image is needed"
        )
    if (images.dtype, images.device) != (weight.dtype, weight.device):
        raise ValueError(
            f"example_input is {images.dtype} on {images.device}, but the model is "
            f"{weight.dtype} on {weight.device}: move one of them"
        )
    return images[:1].detach().clone()


def _rebuild(model: DynamicNetwork, image: Tensor, threads: int, portable: bool) -> Engine:
    return Engine(model, image, threads=threads, portable=portable)


def _output(parts: list[Part], images: Tensor) -> Output:
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
