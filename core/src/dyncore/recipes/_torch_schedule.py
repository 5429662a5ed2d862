"""Learning rates as torch's schedulers have them."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import torch
from torch.optim import lr_scheduler

from dyncore.recipes._called import Called, check_known, read_call
from dyncore.recipes._schedule import Schedule

PER_EPOCH = 100
"""Steps that a scheduler takes in an epoch, however many batches that has."""
IN_EPOCHS = ("T_max", "T_0", "step_size", "milestones", "total_iters")
"""Arguments that count steps."""

Filled = Mapping[str, Mapping[str, Any]]

SCHEDULERS: Filled = {
    "ConstantLR": {},
    "CosineAnnealingLR": {"T_max": "phase"},
    "CosineAnnealingWarmRestarts": {},
    "ExponentialLR": {},
    "LinearLR": {"total_iters": "phase"},
    "MultiStepLR": {},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": "all", "cycle_momentum": False},
    "PolynomialLR": {"total_iters": "phase"},
    "StepLR": {},
}
"""Those that depend on nothing but the step, each with what it is given where nothing is said:
``phase`` is its length in epochs."""


@dataclass(frozen=True, kw_only=True)
class TorchSchedule(Schedule):
    """One of ``torch.optim.lr_scheduler`` by its name, with its own arguments.

    What counts steps counts epochs here, and fractions of them; rates are shares of the base rate.
    It moves on a hundred times an epoch.
    """

    call: str
    """``OneCycleLR``, ``CosineAnnealingLR(eta_min=0.01)`` or ``StepLR(step_size=3)``."""

    def __post_init__(self) -> None:
        check_known(self._called.name, SCHEDULERS, "schedule")
        self.factor(0.0, 1.0)

    @property
    def _called(self) -> Called:
        return read_call(self.call, "--schedule 'OneCycleLR(pct_start=0.1)'")

    def factor(self, epoch: float, epochs: float) -> float:
        factors = _factors(self.call, epochs)
        return factors[min(round(epoch * PER_EPOCH), len(factors) - 1)]

    def scaled(self, share: float) -> "TorchSchedule":
        name, arguments = self._called
        if not set(arguments) & set(IN_EPOCHS):
            return self
        changed = {k: _times(v, share) if k in IN_EPOCHS else v for k, v in arguments.items()}
        return TorchSchedule(call=str(Called(name, changed)))


@lru_cache(maxsize=16)
def _factors(call: str, epochs: float) -> tuple[float, ...]:
    """At every step of a phase of so many epochs, its end included."""
    name, given = read_call(call, "")
    steps = max(1, ceil(epochs * PER_EPOCH))
    lengths = {"phase": steps, "all": steps + 1}
    filled = {key: lengths.get(value, value) for key, value in SCHEDULERS[name].items()}
    own = {k: _steps(v) if k in IN_EPOCHS else v for k, v in given.items()}
    if name == "ExponentialLR" and isinstance(own.get("gamma"), int | float):
        own["gamma"] **= 1 / PER_EPOCH
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there is nothing to step
            scheduler = getattr(lr_scheduler, name)(optimizer, **{**filled, **own})
            factors = [optimizer.param_groups[0]["lr"]]
            for _ in range(steps):
                scheduler.step()
                factors.append(optimizer.param_groups[0]["lr"])
    except Exception as error:  # whatever torch makes of such arguments
        raise ValueError(f"schedule {call} cannot be had: {error}") from error
    return tuple(map(float, factors))


def _times(epochs: Any, share: float) -> Any:
    return [each * share for each in epochs] if isinstance(epochs, list | tuple) else epochs * share


def _steps(epochs: Any) -> Any:
    """Of a scheduler, at least one."""
    if isinstance(epochs, list | tuple):
        return [_steps(each) for each in epochs]
    return max(1, round(epochs * PER_EPOCH))
