"""Smaller networks inside of one: they share its convolutions, and are saved with it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.backbones import Backbone
from dyncore.network._config import Subnet

if TYPE_CHECKING:
    from dyncore.network._network import DynamicNetwork


class _Layer(NamedTuple):
    """A layer of a small backbone, and what stands in its place in the whole one."""

    owner: nn.Module
    name: str
    """In its owner."""
    small: nn.Module
    whole: nn.Module


def share(small: Backbone, whole: Backbone, subnet: Subnet) -> None:
    """Put the convolutions of ``whole`` in the place of those of ``small``; shared norms, too."""
    shared = (nn.Conv2d,) if subnet.norms == "own" else (nn.Conv2d, nn.BatchNorm2d)
    for layer in list(_layers(small, whole, subnet.blocks)):
        if isinstance(layer.small, shared):
            setattr(layer.owner, layer.name, layer.whole)


def start_subnets(network: "DynamicNetwork") -> None:
    """Let what the subnets have of their own be what the network has in its place, where it fits.

    For a network with the weights of a static one: a last layer of other features stays fresh.
    """
    for subnet, small in zip(network.config.nested, network.subnets, strict=True):
        for layer in _layers(small.backbone, network.backbone, subnet.blocks):
            mine, theirs = layer.small.state_dict(), layer.whole.state_dict()
            if all(tensor.shape == theirs[name].shape for name, tensor in mine.items()):
                layer.small.load_state_dict(theirs)


def _layers(small: Backbone, whole: Backbone, blocks: Sequence[int]) -> Iterator[_Layer]:
    places = [whole.blocks[index] for index in blocks]
    block_of = {id(mine): theirs for mine, theirs in zip(small.blocks, places, strict=True)}
    pairs: list[tuple[nn.Module, nn.Module]] = [(small, whole)]
    while pairs:
        mine, theirs = pairs.pop()
        for name, child in mine.named_children():
            other = block_of.get(id(child)) or theirs.get_submodule(name)
            if next(child.children(), None) is None:
                yield _Layer(mine, name, child, other)
            else:
                pairs.append((child, other))


def begins(small: "DynamicNetwork", whole: "DynamicNetwork") -> bool:
    """Whether ``small`` is the beginning of ``whole`` with a head of its own: an early exit of it.

    Then stem and blocks are the same layers, and what they give is the same.
    """
    stem, whole_stem = small.backbone.stem_layers, whole.backbone.stem_layers
    pairs = list(zip(small.backbone.blocks, whole.backbone.blocks, strict=False))
    return (
        not (small.config.gate or whole.config.gate)
        and len(pairs) == len(small.backbone.blocks) < len(whole.backbone.blocks)
        and stem is not None
        and whole_stem is not None
        and stem.layer.conv is whole_stem.layer.conv
        and stem.layer.norm is whole_stem.layer.norm
        and type(stem.layer.activation) is type(whole_stem.layer.activation)
        and all(_tensors(mine) == _tensors(theirs) for mine, theirs in pairs)
    )


def _tensors(block: nn.Module) -> list[int]:
    return [id(tensor) for tensor in block.state_dict(keep_vars=True).values()]


def subnet_logits(
    network: "DynamicNetwork", images: Tensor, features: Mapping[int, Tensor]
) -> tuple[Float[Tensor, "batch classes"], ...]:
    """What each subnet says; ``features`` are the outputs of the whole network's blocks.

    What an early exit would compute up to its head is among them.
    """
    return tuple(
        small.backbone(images)
        if subnet.norms == "own"
        else small.backbone.head(features[subnet.blocks[-1]])
        for subnet, small in zip(network.config.nested, network.subnets, strict=True)
    )


def save_once(network: "DynamicNetwork", state: dict[str, Any], prefix: str, _: Any) -> None:
    """Hook of ``state_dict()``: what subnets share stands there once, as the network's own."""
    for alias in _aliases(network):
        state.pop(prefix + alias, None)


def load_once(network: "DynamicNetwork", state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Hook of ``load_state_dict()``: the inverse of :func:`save_once`."""
    for alias, name in _aliases(network).items():
        if prefix + name in state:
            state.setdefault(prefix + alias, state[prefix + name])


def _aliases(network: "DynamicNetwork") -> dict[str, str]:
    """Of every tensor that a subnet shares, its name there and the network's own name for it."""
    own = network.backbone.state_dict(keep_vars=True, prefix="backbone.")
    name_of = {id(tensor): name for name, tensor in own.items()}
    nested = network.nested.state_dict(keep_vars=True, prefix="nested.")
    return {name: name_of[id(t)] for name, t in nested.items() if id(t) in name_of}
