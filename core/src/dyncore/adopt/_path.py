"""A residual branch of a traced network as a path."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.adopt._opened import is_batch_norm, is_only, links
from dyncore.adopt._segment import Segment, Value
from dyncore.blocks import Layer, Path

Names: TypeAlias = tuple[tuple[str, str, str | None], ...]


@dataclass(frozen=True)
class AdoptedPath(Path):
    """It runs as the network itself runs it; where it is a chain, it shows its layers, too."""

    segment: Segment | None = None
    """None: the path was removed."""
    width: int = 0
    """Channels of its input."""
    channels: int = 0
    """Of its first convolution, where they can be gated; else 0."""

    @classmethod
    def of(cls, segment: Segment, width: int, *, gates_channels: bool) -> "AdoptedPath":
        """The path that ``segment`` is; ``gates_channels`` where they are to be, and can be."""
        names = chain(segment)
        path = cls(segment.original, names, segment=segment, width=width)
        if not gates_channels or why_not_channels(path.layers) is not None:
            return path
        return replace(path, channels=path.layers[0].conv.out_channels)

    @property
    def exists(self) -> bool:
        return self.segment is not None

    @property
    def in_channels(self) -> int:
        return self.width

    @property
    def gated_channels(self) -> int:
        return self.channels

    @property
    def is_chain(self) -> bool:
        """Whether calling it is calling its layers: nothing listens at what contains them."""
        return bool(self.names and self.calls)

    @property
    def calls(self) -> tuple[nn.Module, ...]:
        """What it calls one after the other, opened as far as that is the same.

        None of them: it does something else, or somebody listens at what contains them.
        """
        if self.segment is None or not self.is_quiet:
            return ()
        return tuple(module for _, module in calls_in_turn(self.segment))

    @property
    def is_quiet(self) -> bool:
        """Whether nobody listens at what contains the layers."""
        called = self.segment.modules_called if self.segment is not None else ()
        return all(map(is_only, map(self.owner.get_submodule, called)))

    def removed(self) -> "AdoptedPath":
        """In the place of the path, whose layers leave the network."""
        assert self.segment is not None
        for name in self.segment.modules_called:
            parent, _, child = name.rpartition(".")
            if any(True for _ in self.owner.get_submodule(name).parameters()):
                delattr(self.owner.get_submodule(parent), child)
        return AdoptedPath(self.owner, (), width=self.width)

    def __call__(
        self,
        x: Float[Tensor, "batch *map"],
        channel_weight: Float[Tensor, "batch gated"] | None = None,
    ) -> Float[Tensor, "batch *out_map"]:
        """See :meth:`Path.__call__`."""
        if channel_weight is not None:
            return super().__call__(x, channel_weight)
        assert self.segment is not None
        return self.segment(x)


def chain(segment: Segment) -> Names:
    """(convolution, norm, activation) of each layer, if it is nothing else; else none."""
    modules = calls_in_turn(segment)
    names: list[tuple[str, str, str | None]] = []
    while modules:
        (conv_name, conv), *modules = modules
        if type(conv) is not nn.Conv2d or not modules or not is_batch_norm(modules[0][1]):
            return ()
        (norm_name, _), *modules = modules
        follows = None
        if modules and type(modules[0][1]) in (nn.ReLU, nn.ReLU6):
            (follows, _), *modules = modules
        names.append((conv_name, norm_name, follows))
    return tuple(names)


def calls_in_turn(segment: Segment) -> list[tuple[str, nn.Module]]:
    """The modules that it calls one after the other, with their names, if it does nothing else."""
    modules: list[tuple[str, nn.Module]] = []
    for number, step in enumerate(segment.steps):
        if step.kind != "call_module" or step.args != (Value(number),) or step.kwargs:
            return []
        modules += links(step.target, segment.original.get_submodule(step.target))
    return modules


def why_not_channels(layers: tuple[Layer, ...]) -> str | None:
    """Why the channels between its first two layers cannot be left out; None: they can."""
    if len(layers) < 2:
        return "it is no chain of convolutions and batch norms"
    if any(type(layer.norm) is not nn.BatchNorm2d for layer in layers[:2]):
        return "its norms and activations are one module of its library"
    if any(layer.conv.groups > 1 or layer.conv.bias is not None for layer in layers[:2]):
        return "its first two convolutions are grouped or have a bias"
    return None
