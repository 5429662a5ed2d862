"""What an engine runs: a network, or a cascade of them."""

from abc import ABC, abstractmethod

from torch import Tensor

from dyncore.cost import Profile
from dyncore.engine._comparison import Comparison
from dyncore.gating import ExecutionPath
from dyncore.network import Output


class Runner(ABC):
    """One for each kind of model; the methods are those of :class:`dyncore.Engine`."""

    @abstractmethod
    def __call__(self, images: Tensor, path: ExecutionPath | None) -> Output:
        """The model's answer."""

    @abstractmethod
    def compare(self, images: Tensor) -> Comparison:
        """Where it differs from the model, and by how much."""

    @abstractmethod
    def profile(self, batch: int) -> Profile:
        """Times of its parts."""

    @abstractmethod
    def set_budget(self, budget: float | None) -> None:
        """Turn the dial; see :meth:`dyncore.Engine.set_budget`."""

    @abstractmethod
    def set_milliseconds(self, ms: float) -> None:
        """The same for a time."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """What it computes in."""

    @abstractmethod
    def source(self) -> tuple[object, Tensor]:
        """The model that it was made of, and the example: to make it again."""


def check_images(images: Tensor, expected: Tensor) -> None:
    """Raise ValueError for images of another size, dtype or device than the example's."""
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
