"""The residual branches of a traced network: ``x → act(shortcut(x) + branch(x))``."""

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.fx import Graph, Node

from dyncore.adopt._segment import ancestors
from dyncore.adopt._trace import cuts, flow, is_size, is_sum, owners

_VIEWS = {"reshape", "view", "flatten", "unflatten", "permute", "transpose", "contiguous"}
_VIEW_FUNCTIONS = {torch.reshape, torch.flatten, torch.permute, torch.transpose}
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ELU)
_IN_PLACE = {operator.iadd, operator.imul, operator.isub, operator.itruediv}


@dataclass(frozen=True)
class Stretch:
    """What leads from one value to another, through which everything goes."""

    start: Node
    end: Node
    total: Node | None = None
    """The sum of shortcut and branch; None: it is no residual block."""
    shortcut: Node | None = None
    """Of the two terms."""
    branch: Node | None = None
    activation: Node | None = None
    """What follows the sum, and is ``end`` then."""
    reason: str | None = None
    """Why a sum in it is not gated."""

    @property
    def before_activation(self) -> Node:
        """The block's output, or what its activation is given."""
        return self.end if self.activation is None else self.activation.all_input_nodes[0]

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of what a branch calls, or, if there is none, of all that is called."""
        end = self.end if self.branch is None else self.branch
        called = [node for node in ancestors(end, self.start) if node.op == "call_module"]
        return tuple(str(node.target) for node in called)

    @property
    def owner(self) -> str:
        """Name of the module whose forward it is a part of; empty: the network's own."""
        names = owners(self.end if self.total is None else self.total)
        inner = [n for n in names if n not in self.modules]
        return inner[-1] if inner else ""


def stretches(
    graph: Graph, network: nn.Module, shapes: Mapping[Node, tuple[int, ...]]
) -> list[Stretch]:
    """All of the graph from the images to the logits, in order."""
    _measure_anew(graph, shapes)
    values = cuts(graph)
    found = [_stretch(graph, network, start, end) for start, end in pairwise(values)]
    return list(_joined(network, found))


def _measure_anew(graph: Graph, shapes: Mapping[Node, tuple[int, ...]]) -> None:
    """Behind each residual sum let sizes be taken of the sum, where they are the same.

    A size that is taken before a block, and used behind it, would otherwise lead around the block.
    """
    following = flow(graph)
    measured = {node: node for node in graph.nodes}
    for total in cuts(graph, tensors_only=True):
        if not is_sum(total, following):
            continue
        for term in total.all_input_nodes:
            if _comes_as_it_is(term, total) and shapes[term] == shapes[total]:
                measured[total] = measured[term]
    for total, kind in measured.items():
        if total is not kind:
            _measure(graph, total, {n for n in measured if measured[n] is kind})


def _comes_as_it_is(term: Node, total: Node) -> bool:
    """Whether it is the shortcut of the sum: what the other term is computed from."""
    (other,) = [node for node in total.all_input_nodes if node is not term] or [term]
    return other is not term and term in _all_before(other)


def _all_before(node: Node) -> set[Node]:
    found, waiting = set(), [node]
    while waiting:
        for before in waiting.pop().all_input_nodes:
            if before not in found:
                found.add(before)
                waiting.append(before)
    return found


def _measure(graph: Graph, total: Node, alike: set[Node]) -> None:
    """Behind ``total`` replace sizes of the tensors ``alike`` by the same of ``total``."""
    order = {node: index for index, node in enumerate(graph.nodes)}
    copies: dict[Node, Node] = {}

    def copied(size: Node) -> Node:
        if not is_size(size):
            return total
        if size not in copies:
            for before in size.all_input_nodes:
                copied(before)
            with graph.inserting_after(max([total, *copies.values()], key=_place(graph))):
                copies[size] = graph.node_copy(size, copied)
        return copies[size]

    for user in [node for node in graph.nodes if order[node] > order[total]]:
        for size in user.all_input_nodes:
            if is_size(size) and not is_size(user) and order[size] < order[total]:
                measured = [n for n in {size, *_all_before(size)} if not is_size(n)]
                direct = {n for n in measured if any(is_size(u) for u in n.users)}
                sources = {n for n in direct if _measured_by(n, size)}
                if sources and sources <= alike:
                    user.replace_input_with(size, copied(size))


def _measured_by(tensor: Node, size: Node) -> bool:
    """Whether ``size`` follows from the tensor's size, by sizes alone."""
    waiting = [size]
    while waiting:
        node = waiting.pop()
        if tensor in node.all_input_nodes:
            return True
        waiting += [n for n in node.all_input_nodes if is_size(n)]
    return False


def _place(graph: Graph) -> "functools.partial[int]":
    order = {node: index for index, node in enumerate(graph.nodes)}
    return functools.partial(operator.getitem, order)


def _stretch(graph: Graph, network: nn.Module, start: Node, end: Node) -> Stretch:
    plain = Stretch(start, end)
    following = flow(graph)
    inside = ancestors(end, start)
    sums = [node for node in inside if is_sum(node, following)]
    if not sums:
        return plain
    total = sums[-1]
    after = [n for n in inside if total in _all_before(n) and n is not total]
    if not all(map(_is_view, after)):
        return replace(plain, reason="what follows the sum needs more than the sum")
    if any(n for n in sums[:-1] if _reaches_only(n, total, inside)):
        return replace(plain, reason="several branches are added to one shortcut")
    sides = {term: _computed(term, start) for term in total.all_input_nodes}
    if len(sides) < 2:
        return replace(plain, reason="it adds a value to itself")
    shared = set.intersection(*map(set, sides.values()))
    if any(n.op == "call_module" for n in shared):
        return replace(plain, reason="shortcut and branch begin with the same layers")
    (less, shortcut), (more, branch) = sorted(
        ((_layers(nodes, network), term) for term, nodes in sides.items()),
        key=lambda side: side[0],
    )
    if less == more:
        return replace(plain, reason=f"both terms have {less[0]} layers: which is the shortcut?")
    if any(_changes(node, start, network) for node in sides[branch]):
        return replace(plain, reason="the branch changes its input in place")
    return replace(plain, total=total, shortcut=shortcut, branch=branch)


def _computed(term: Node, start: Node) -> list[Node]:
    return [] if term is start else ancestors(term, start)


def _reaches_only(node: Node, total: Node, inside: Sequence[Node]) -> bool:
    """Whether it is a term of the sum by way of sums alone."""
    return total in node.users and node in inside


def _layers(nodes: Sequence[Node], network: nn.Module) -> tuple[int, int]:
    """Number of convolutions and linear layers that are called, and of calls that are no views."""
    called = [network.get_submodule(str(n.target)) for n in nodes if n.op == "call_module"]
    weights = [
        parameter for module in called for parameter in module.parameters() if parameter.ndim > 1
    ]
    return len(weights), sum(not _is_view(node) for node in nodes)


def _is_view(node: Node) -> bool:
    """Whether it moves values and computes none."""
    return (
        is_size(node)
        or (node.op == "call_method" and node.target in _VIEWS)
        or (node.op == "call_function" and node.target in _VIEW_FUNCTIONS)
    )


def _changes(node: Node, start: Node, network: nn.Module) -> bool:
    """Whether it writes to the value of ``start``."""
    if start not in node.all_input_nodes or node.args[:1] != (start,):
        return False
    if node.op == "call_module":
        return getattr(network.get_submodule(str(node.target)), "inplace", False) is True
    name = str(node.target)
    return node.target in _IN_PLACE or (
        node.op == "call_method" and name.endswith("_") and not name.endswith("__")
    )


def _joined(network: nn.Module, found: Sequence[Stretch]) -> Iterator[Stretch]:
    """Activations as part of the block before them, and plain stretches in one."""
    waiting: Stretch | None = None
    for each in found:
        if waiting is None:
            waiting = each
        elif (
            waiting.total is not None
            and waiting.activation is None
            and each.total is None
            and _is_activation(each.end, network)
        ):
            waiting = replace(waiting, end=each.end, activation=each.end)
        elif (
            waiting.total is None
            and each.total is None
            and waiting.reason is None
            and each.reason is None
        ):
            waiting = replace(waiting, end=each.end)
        else:
            yield waiting
            waiting = each
    if waiting is not None:
        yield waiting


def _is_activation(node: Node, network: nn.Module) -> bool:
    if node.op == "call_function":
        return node.target in (F.relu, torch.relu) and len(node.args) == 1
    if node.op != "call_module":
        return False
    module = network.get_submodule(str(node.target))
    return type(module) in _ACTIVATIONS or type(module) is nn.Identity
