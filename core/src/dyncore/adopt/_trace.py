"""A network as a graph of calls, as coarse as its residual sums allow.

A module that owns no residual sum is one call, whatever it does inside: its hooks, its own modes
and its replacements keep their meaning. Only what owns one is opened.
"""

import operator
from collections.abc import Callable, Container
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Tracer

from dyncore.adopt._segment import Step

ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_SIZES = {"size", "dim", "ndimension", "numel"}
_OF_TENSORS = {"shape", "ndim", "device", "dtype"}


class AdoptError(ValueError):
    """A network that cannot be made dynamic, and why."""


class _Tracer(Tracer):
    """Opens what it is told to; a module whose forward cannot be traced stays one call."""

    def __init__(self, opened: Container[str] | None) -> None:
        """``opened`` are names of modules; None: all but torch's own."""
        super().__init__()
        self.opened = opened
        self.untraced: dict[str, str] = {}
        """Reasons, by the name of the module."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        if self.opened is not None:
            return qualified_name not in self.opened
        return super().is_leaf_module(module, qualified_name)

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Images alone: whatever else a forward takes keeps its default."""
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Without the cache, which would keep what :meth:`call_module` takes back."""
        return super().getattr(attr, attr_val, {})

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        before, stack = len(self.graph.nodes), self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # whatever a forward does with what is no tensor
            self.module_stack = stack
            for node in reversed(list(self.graph.nodes)[before:]):
                self.graph.erase_node(node)
            name = self.path_of_module(m)
            self.untraced[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
            return self.create_proxy("call_module", name, args, kwargs)


def trace(network: nn.Module) -> tuple[Graph, dict[str, str]]:
    """The graph of ``network``, and the modules that could not be opened, with the reasons.

    Raises :class:`AdoptError` where the network's own forward cannot be traced, gives something
    else than one tensor, or differs between training and evaluation outside of its modules.
    """
    fine, untraced = _trace(network, None)
    following = flow(fine)
    sums = [node for node in cuts(fine, tensors_only=True) if is_sum(node, following)]
    opened = {name for node in sums for name in owners(node)}
    graph, _ = _trace(network, opened)
    training = network.training
    other, _ = _trace(network.train(not training), opened)
    network.train(training)
    if str(graph) != str(other):
        raise AdoptError(
            "its forward, or that of a module with a residual sum, does something else in training "
            "than in evaluation, outside of its modules: call a module for it (nn.Dropout, ...)"
        )
    return graph, untraced


def _trace(network: nn.Module, opened: Container[str] | None) -> tuple[Graph, dict[str, str]]:
    tracer = _Tracer(opened)
    try:
        graph = tracer.trace(network)
    except Exception as error:  # whatever a forward does with what is no tensor
        raise AdoptError(
            f"the forward of {type(network).__name__} cannot be traced by torch.fx: "
            f"{str(error).splitlines()[0][:300]}"
        ) from error
    for node in reversed(list(graph.nodes)):
        checks = node.op == "call_function" and node.target is torch._assert
        if checks or (not node.users and node.op not in ("placeholder", "output")):
            graph.erase_node(node)
    (output,) = (node for node in graph.nodes if node.op == "output")
    if not isinstance(output.args[0], Node):
        raise AdoptError(f"{type(network).__name__} gives {output.args[0]}, no tensor of logits")
    return graph, tracer.untraced


def owners(node: Node) -> list[str]:
    """Names of the modules in whose forward it is called, the innermost last."""
    return [name for name, _ in node.meta.get("nn_module_stack", {}).values()]


def is_sum(node: Node, following: set[Node]) -> bool:
    """Whether it adds two tensors that both follow from the images, and nothing else."""
    if node.op not in ("call_function", "call_method") or node.target not in ADDITIONS:
        return False
    both = [a for a in node.args if isinstance(a, Node) and a in following and not is_size(a)]
    return len(both) == len(node.args) == 2 and not node.kwargs


def is_size(node: Node) -> bool:
    """Whether its value is a size of tensors, or a number that is computed of sizes."""
    if node.op == "call_method":
        return node.target in _SIZES
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return node.args[1] in _OF_TENSORS
    inputs = node.all_input_nodes
    return (
        getattr(node.target, "__module__", None) in ("_operator", "builtins", "math")
        and bool(inputs)
        and all(map(is_size, inputs))
    )


def flow(graph: Graph) -> set[Node]:
    """What follows from the images."""
    found: set[Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or any(before in found for before in node.all_input_nodes):
            found.add(node)
    return found


def cuts(graph: Graph, *, tensors_only: bool = False) -> list[Node]:
    """Values through which everything goes that leads from the images to the logits, in order.

    ``tensors_only``: but for sizes.
    """
    following = flow(graph)
    order = [node for node in graph.nodes if node in following]
    if tensors_only:
        order = [node for node in order if not is_size(node)]
    place = {node: index for index, node in enumerate(order)}
    found, reach = [], 0
    for index, node in enumerate(order):
        if node.op == "output":
            break
        if reach <= index and not is_size(node):
            found.append(node)
        last = max((place[user] for user in node.users if user in place), default=index)
        reach = max(reach, last)
    return found


def find_shapes(graph: Graph, network: nn.Module, images: Tensor) -> dict[Node, tuple[int, ...]]:
    """Shape of every tensor in the graph, for ``images``; both may be on the meta device."""
    values: dict[Node, Any] = {}
    shapes: dict[Node, tuple[int, ...]] = {}

    def value(node: Node) -> Any:
        return values[node]

    for node in graph.nodes:
        if node.op == "output":
            break
        if node.op == "placeholder":
            values[node] = images
        else:
            args = torch.fx.map_arg(node.args, value)
            kwargs = torch.fx.map_arg(node.kwargs, value)
            step = Step(node.op, node.target, tuple(args), tuple(kwargs.items()))
            values[node] = step.run(network, ())
        if isinstance(values[node], Tensor):
            shapes[node] = tuple(values[node].shape)
    return shapes
