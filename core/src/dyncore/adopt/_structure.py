"""What a network is made of: stem, blocks and head, as steps that name its modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import Node

from dyncore.adopt._branches import Stretch, stretches
from dyncore.adopt._channel_axis import channel_axis
from dyncore.adopt._segment import Step, called, steps_between
from dyncore.adopt._trace import AdoptError, find_shapes, trace
from dyncore.adopt._weightless import without_weights


@dataclass(frozen=True)
class BlockStructure:
    """``x → activation(shortcut(x) + branch(x))``, or, without a shortcut, ``branch(x)``."""

    branch: tuple[Step, ...]
    shortcut: tuple[Step, ...] | None
    activation: tuple[Step, ...]
    owner: str
    """Name of the module in whose forward it is written."""
    why_static: str | None
    """None: it can be gated."""
    axis: int
    """Of its input's channels."""
    channels: int
    """Of its input."""
    stage: int
    """A new one wherever a map has other sizes than the one before."""


@dataclass(frozen=True)
class Structure:
    """A network of one kind; it holds no module."""

    stem: tuple[Step, ...]
    blocks: tuple[BlockStructure, ...]
    head: tuple[Step, ...]
    untraced: tuple[tuple[str, str], ...]
    """Modules that could not be looked into, and why."""


def find_structure(network: nn.Module, height: int, width: int) -> Structure:
    """What ``network`` is made of. Raises :class:`AdoptError` where there is nothing to gate."""
    graph, untraced = trace(network)
    bare = without_weights(network).eval()
    images = torch.empty(2, 3, height, width, device="meta", dtype=torch.float32)
    found = _framed(stretches(graph, network, find_shapes(graph, bare, images)), untraced)
    shapes = find_shapes(graph, bare, images)
    blocks: list[BlockStructure] = []
    size: Sequence[int] = ()
    for each in found[1:-1]:
        stage = blocks[-1].stage if blocks else 0
        block = _block(network, each, shapes, stage)
        after = _sides(shapes[each.end], block.axis)
        if blocks and after != size:
            block = _block(network, each, shapes, stage + 1)
        blocks.append(block)
        size = after
    first, last = found[0], found[-1]
    return Structure(
        stem=steps_between(first.start, first.end),
        blocks=tuple(blocks),
        head=steps_between(last.start, last.end),
        untraced=tuple(untraced.items()),
    )


def _framed(found: list[Stretch], untraced: Mapping[str, str]) -> list[Stretch]:
    """With a plain stretch before the first block, and one behind the last."""
    if all(each.total is None for each in found):
        reasons = {each.reason for each in found if each.reason} | set(untraced.values())
        raise AdoptError(
            "the network has no residual branch that could be dynamic: "
            + ("; ".join(sorted(reasons)) or "nothing in it is added to a shortcut")
        )
    start, end = found[0], found[-1]
    before = [] if start.total is None else [Stretch(start.start, start.start)]
    after = [] if end.total is None else [Stretch(end.end, end.end)]
    return [*before, *found, *after]


def _block(
    network: nn.Module, found: Stretch, shapes: Mapping[Node, tuple[int, ...]], stage: int
) -> BlockStructure:
    start, end = found.start, found.before_activation
    shortcut: tuple[Step, ...] | None = None
    if found.total is None or found.shortcut is None or found.branch is None:
        branch = steps_between(start, end)
    else:
        branch = steps_between(start, end, {found.total: found.branch})
        shortcut = steps_between(start, end, {found.total: found.shortcut})
    axis = channel_axis(shapes[start], map(network.get_submodule, called(branch)))
    static = None if found.total is not None else "nothing is added to a shortcut"
    return BlockStructure(
        branch=branch,
        shortcut=shortcut,
        activation=steps_between(end, found.end),
        owner=found.owner,
        why_static=found.reason or static,
        axis=axis,
        channels=shapes[start][axis],
        stage=stage,
    )


def _sides(shape: Sequence[int], axis: int) -> list[int]:
    """Of a map, without batch and channels."""
    return [side for n, side in enumerate(shape) if n not in (0, axis % len(shape))]
