"""Training and evaluation on a GPU that is not there."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from dyncore.cost import CostTable
from dyncore.data import Batch
from dyncore.kernels import install_kernels
from dyncore.network import DynamicNetwork
from dyncore.objectives import Objective
from dyncore.recipes import Phase
from dyncore.testing._build import BATCH, preprocessing, training_step
from dyncore.testing._case import Case
from dyncore.training import TrainingStep, draw_decisions, set_trainable

GPU = torch.device("cuda", 0)


class Copies(TorchFunctionMode):
    """``copy.deepcopy`` of tensors without values, of which torch would copy their mode, too."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """See :class:`torch.overrides.TorchFunctionMode`."""
        if func is not Tensor.__deepcopy__:
            return func(*args, **(kwargs or {}))
        given, memo = args
        copied = given.detach().clone()
        if isinstance(given, nn.Parameter):
            copied = nn.Parameter(copied, given.requires_grad)
        return memo.setdefault(id(given), copied)


def check_dry_run(case: Case, folder: Path) -> None:
    """On a GPU, training steps and evaluation mix no devices, and the host waits for nothing.

    Tensors without values say that they are on one: torch refuses what it would refuse there, and
    a host that reads a value.
    """
    real = training_step(case)
    for phase in case.phases:
        drawn = draw_decisions(real.model, phase, seed=0, step=0, batch=BATCH, share=slice(BATCH))
        for kernels in (False, True):
            form = "with kernels" if kernels else "without kernels"
            where = f"{case}, phase {phase.name!r} {form} on a GPU"
            _expect_to_run(where, partial(_train, case, real.table, phase, drawn, kernels))
    _expect_to_run(f"{case}, evaluation on a GPU", lambda: _evaluate(case, real.table))


def _expect_to_run(where: str, run: Callable[[], None]) -> None:
    try:
        with FakeTensorMode(), torch.device(GPU), Copies():
            run()
    except Exception as error:
        raise AssertionError(
            f"{where}: {type(error).__name__}: {error} (make tensors on the device of what they "
            "meet, and leave numbers on it)"
        ) from error


def _train(
    case: Case,
    table: CostTable,
    phase: Phase,
    drawn: tuple[Tensor | None, Tensor | None],
    kernels: bool,
) -> None:
    """A step with the noise or the paths that were drawn, its backward pass and the optimiser's."""
    model = DynamicNetwork(case.network)
    parts = {key: config.build(model, table) for key, config in case.objective.items()}
    step = TrainingStep(model, Objective(parts), table, preprocessing(case)).train()
    if kernels:
        install_kernels(step)
    optimizer = torch.optim.SGD(set_trainable(step, phase), lr=0.1, momentum=0.9, nesterov=True)
    noise, on = (None if values is None else _moved(values) for values in drawn)
    images = torch.empty(BATCH, 3, case.image_size, case.image_size)
    rows = torch.empty(BATCH, dtype=torch.int64)
    active = None if phase.objective is None else frozenset(phase.objective)
    result = step(Batch(images, rows, rows), noise, on, active)
    backward(result.loss)
    optimizer.step()
    step.objective.after_step(model)


@torch.no_grad()
def _evaluate(case: Case, table: CostTable) -> None:
    model = DynamicNetwork(case.network).eval()
    images = torch.empty(BATCH, 3, case.image_size, case.image_size)
    output = model(preprocessing(case).normalize(images))
    table.macs(output.path)


def _moved(values: Tensor) -> Tensor:
    return torch.empty(values.shape, dtype=values.dtype, device=GPU)


@torch.no_grad()
def backward(loss: Tensor) -> None:
    """``loss.backward()``, node by node: torch's own engine asks for the device."""
    assert loss.grad_fn is not None
    given: dict[Node, dict[int, Tensor]] = defaultdict(dict)
    given[loss.grad_fn][0] = torch.ones_like(loss)
    for node in _from_last(loss.grad_fn):
        variable = getattr(node, "variable", None)
        if isinstance(variable, nn.Parameter):
            variable.grad = given[node][0]
            continue
        inputs = node._input_metadata
        gradients: list[Tensor | None] = [given[node].get(n) for n in range(len(inputs))]
        call: Callable[..., Any] = node
        if isinstance(node, BackwardCFunction):  # gets zeros for what nothing used
            call = node.apply
            gradients = [
                torch.zeros(meta.shape, dtype=meta.dtype) if own is None else own
                for own, meta in zip(gradients, inputs, strict=True)
            ]
        found = call(*gradients)
        found = found if isinstance(found, tuple) else (found,)
        for (following, place), gradient in zip(node.next_functions, found, strict=False):
            if following is not None and gradient is not None:
                meta = following._input_metadata[place]
                gradient = gradient.sum_to_size(meta.shape).to(meta.dtype)
                own = given[following].get(place)
                given[following][place] = gradient if own is None else own + gradient


def _from_last(last: Node) -> list[Any]:
    """Every node before ``last``, each after all that give to it."""
    order: list[Node] = []
    seen, stack = {last}, [(last, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
            continue
        stack.append((node, True))
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append((following, False))
    return order[::-1]
