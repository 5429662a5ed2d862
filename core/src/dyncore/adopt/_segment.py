"""A stretch of a traced network, from one tensor to another, run by the network's own modules."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.fx import Node


@dataclass(frozen=True)
class Value:
    """In the arguments of a step: what another step gave."""

    index: int
    """Number of the step, from 1; 0 is the segment's input."""


@dataclass(frozen=True)
class Step:
    """One call."""

    kind: str
    """``call_module``, ``call_function``, ``call_method`` or ``get_attr``, as ``torch.fx`` says."""
    target: Any
    """A module's or attribute's name, a function, or a method's name."""
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()

    def run(self, owner: nn.Module, values: Sequence[Any]) -> Any:
        """The result, given those of the steps before."""
        if self.kind == "get_attr":
            return operator.attrgetter(self.target)(owner)
        args = [_filled(argument, values) for argument in self.args]
        kwargs = {name: _filled(argument, values) for name, argument in self.kwargs}
        if self.kind == "call_module":
            return owner.get_submodule(self.target)(*args, **kwargs)
        if self.kind == "call_method":
            return getattr(args[0], self.target)(*args[1:], **kwargs)
        return self.target(*args, **kwargs)


class Segment(nn.Module):
    """Steps, one after the other.

    It names modules of ``original`` and calls what it finds there, so it follows when one is
    replaced; it has no parameters of its own.
    """

    def __init__(self, original: nn.Module, steps: tuple[Step, ...]) -> None:
        super().__init__()
        self._original = (original,)  # in a tuple, so that its parameters are not registered twice
        self.steps = steps
        """Without any, what goes in comes out."""

    @property
    def original(self) -> nn.Module:
        return self._original[0]

    @property
    def modules_called(self) -> tuple[str, ...]:
        """Names, in the order of the calls."""
        return called(self.steps)

    def forward(self, x: Tensor) -> Tensor:
        values: list[Any] = [x]
        for step in self.steps:
            values.append(step.run(self.original, values))
        return values[-1]

    def extra_repr(self) -> str:
        return ", ".join(self.modules_called)


def called(steps: Sequence[Step]) -> tuple[str, ...]:
    """Names of modules, in the order of the calls."""
    return tuple(step.target for step in steps if step.kind == "call_module")


def steps_between(
    start: Node, end: Node, instead: Mapping[Node, Node] | None = None
) -> tuple[Step, ...]:
    """What leads from the value of ``start`` to that of ``end``.

    ``instead`` gives nodes that are left out, each with the one whose value is taken for its own.
    """
    known = instead or {}
    end = known.get(end, end)
    between = ancestors(end, start, known)
    number = {start: 0} | {node: n for n, node in enumerate(between, 1)}

    def prepared(argument: Any) -> Any:
        if isinstance(argument, Node):
            return Value(number[known.get(argument, argument)])
        return _mapped(argument, prepared)

    return tuple(
        Step(
            node.op,
            node.target,
            tuple(map(prepared, node.args)),
            tuple((name, prepared(value)) for name, value in node.kwargs.items()),
        )
        for node in between
    )


def ancestors(end: Node, start: Node, instead: Mapping[Node, Node] | None = None) -> list[Node]:
    """What ``end`` is computed from, itself included, as far as ``start``, in the order of calls.

    Raises ValueError if it is computed from something before ``start``.
    """
    known = instead or {}
    found: set[Node] = set()
    waiting = [known.get(end, end)]
    while waiting:
        node = waiting.pop()
        if node is start or node in found:
            continue
        if node.op == "placeholder":
            raise ValueError("it reads what came before the block's input")
        found.add(node)
        waiting += [known.get(before, before) for before in node.all_input_nodes]
    return [node for node in start.graph.nodes if node in found]


def _mapped(argument: Any, change: Any) -> Any:
    if isinstance(argument, tuple):
        return tuple(change(inner) for inner in argument)
    if isinstance(argument, list):
        return [change(inner) for inner in argument]
    if isinstance(argument, dict):
        return {name: change(inner) for name, inner in argument.items()}
    if isinstance(argument, slice):
        return slice(change(argument.start), change(argument.stop), change(argument.step))
    return argument


def _filled(argument: Any, values: Sequence[Any]) -> Any:
    if isinstance(argument, Value):
        return values[argument.index]
    return _mapped(argument, lambda inner: _filled(inner, values))
