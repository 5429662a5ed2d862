"""Optimisers: SGD, which papers print, and any other of torch's by its name."""

from dataclasses import dataclass
from functools import cache
from inspect import Parameter, signature
from math import inf
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from dyncore.recipes._called import Called, check_known, read_call


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent with momentum."""

    learning_rate: float = 0.1
    """Base learning rate, for the recipe's batch size."""
    router_learning_rate: float | None = None
    """Base learning rate of routers and gates; None: the same."""
    momentum: float = 0.9
    """Momentum."""
    nesterov: bool = False
    """Nesterov's form."""
    weight_decay: float = 1e-4
    """L2 penalty on every trained parameter."""

    def __post_init__(self) -> None:
        _check_rates(self.learning_rate, self.router_learning_rate)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), not {self.momentum}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay must not be negative, not {self.weight_decay}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def build(self, groups: list[dict[str, Any]]) -> Optimizer:
        """The optimiser of these groups of parameters, each with its ``lr``."""
        return torch.optim.SGD(
            groups,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,
        )


@dataclass(frozen=True, kw_only=True)
class TorchOptimizer:
    """One of ``torch.optim`` by its name, with its own arguments."""

    call: str
    """``AdamW`` or ``AdamW(lr=3e-4, weight_decay=0.05)``; what is left out is torch's default."""
    router_learning_rate: float | None = None
    """Base learning rate of routers and gates; None: the same."""

    def __post_init__(self) -> None:
        called = self._called
        check_known(called.name, _optimizers(), "optimizer")
        weights = [nn.Parameter(torch.zeros(1, 1, 1, 1)), nn.Parameter(torch.zeros(1))]
        try:
            self.build([{"params": weights, "lr": self.learning_rate}])
        except Exception as error:  # whatever torch makes of such arguments
            raise ValueError(f"optimizer {self.call} cannot be had: {error}") from error
        _check_rates(self.learning_rate, self.router_learning_rate)

    @property
    def _called(self) -> Called:
        return read_call(self.call, "--optimizer 'AdamW(lr=3e-4)'")

    @property
    def learning_rate(self) -> float:
        """Base learning rate: ``lr``, or torch's default of it."""
        called = self._called
        default = signature(_optimizers()[called.name]).parameters["lr"].default
        return float(called.arguments.get("lr", default))

    def build(self, groups: list[dict[str, Any]]) -> Optimizer:
        """See :meth:`SGD.build`."""
        called = self._called
        return _optimizers()[called.name](groups, **called.arguments)


@cache
def _optimizers() -> dict[str, type[Optimizer]]:
    """Of torch: those with a learning rate, which step without a closure, on dense gradients."""
    found = {}
    for name, kind in vars(torch.optim).items():
        if not (isinstance(kind, type) and issubclass(kind, Optimizer)) or name == "SparseAdam":
            continue
        closure = signature(kind.step).parameters.get("closure")
        needed = closure is not None and closure.default is Parameter.empty
        if "lr" in signature(kind).parameters and not needed:
            found[name] = kind
    return dict(sorted(found.items()))


def _check_rates(learning_rate: float, router_learning_rate: float | None) -> None:
    if not 0 < learning_rate < inf:
        raise ValueError(f"learning_rate must be positive, not {learning_rate}")
    if router_learning_rate is not None and not 0 < router_learning_rate < inf:
        raise ValueError(f"router_learning_rate must be positive, not {router_learning_rate}")
