"""Every parameter that a phase trains can learn."""

from pathlib import Path

import torch
from torch import Tensor, nn

from dyncore.network import DynamicNetwork
from dyncore.recipes import Phase
from dyncore.testing._build import expect_finite_terms, run_step, training_step, vary
from dyncore.testing._case import Case
from dyncore.training import set_trainable

BATCHES = 8
NOISE = 1e-6
"""A gradient this many times smaller than its neighbours' is rounding."""
LEARNING_RATE = 0.01


def check_gradients(case: Case, folder: Path) -> None:
    """Each trained parameter gets a finite gradient that is not zero in all of 8 random batches.

    Zero is what is 1e-6 of its neighbours': of the parameters of the same layer, or of the module
    around it. What the next norm takes away again, as a bias, learns nothing but gets a gradient of
    rounding. A backbone's own norms are not judged: they are those of the network that it is named
    after, whose weights it loads. The optimiser steps in between, as in training, so what starts at
    zero may delay others.
    """
    for phase in case.phases:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _train(case, phase)


def _train(case: Case, phase: Phase) -> None:
    step = training_step(case, torch.float64)
    vary(step.model, case)
    optimizer = torch.optim.SGD(set_trainable(step, phase), lr=LEARNING_RATE)
    trained = {name: p for name, p in step.named_parameters() if p.requires_grad}
    never = set(trained) - _norms_of_the_backbone(step.model)
    where = f"{case}, phase {phase.name!r}"
    for seed in range(BATCHES):
        result = run_step(step, case, phase, seed)
        expect_finite_terms(result, f"{where}, batch {seed}")
        result.loss.backward()
        largest: dict[str, Tensor] = {}
        for name, parameter in trained.items():
            if parameter.grad is None:
                raise AssertionError(
                    f"{where}: {name} gets no gradient: nothing that counts in this phase uses it; "
                    "do not create it, or leave its objective part out of the phase"
                )
            if not parameter.grad.isfinite().all():
                raise AssertionError(
                    f"{where}: the gradient of {name} is not finite in batch {seed}"
                )
            largest[name] = parameter.grad.abs().max()
        never -= {name for name in never if largest[name] > NOISE * _around(name, largest)}
        optimizer.step()
        optimizer.zero_grad()
        step.objective.after_step(step.model)
    if never:
        raise AssertionError(
            f"{where}: the gradient is zero in each of {BATCHES} batches for "
            f"{', '.join(sorted(never))}; a parameter that cannot learn should not be created"
        )


def _around(name: str, largest: dict[str, Tensor]) -> Tensor:
    """The largest gradient of the nearest other parameters; 0 where there are none."""
    place = name
    while place:
        place = place.rpartition(".")[0]
        near = [
            value
            for other, value in largest.items()
            if other != name and other.startswith(f"{place}.".lstrip("."))
        ]
        if near:
            return torch.stack(near).max()
    return torch.tensor(0.0)


def _norms_of_the_backbone(model: DynamicNetwork) -> set[str]:
    return {
        f"model.backbone.{module}.{parameter}"
        for module, norm in model.backbone.named_modules()
        if isinstance(norm, nn.BatchNorm2d)
        for parameter, _ in norm.named_parameters()
    }
