"""Every parameter that a phase trains can learn."""

from pathlib import Path

import torch

from dyncore.recipes import Phase
from dyncore.testing._build import expect_finite_terms, run_step, training_step, vary
from dyncore.testing._case import Case
from dyncore.training import set_trainable

BATCHES = 8
LEARNING_RATE = 0.01


def check_gradients(case: Case, folder: Path) -> None:
    """Each trained parameter gets a finite gradient that is not zero in all of 8 random batches.

    The optimiser steps in between, as in training, so what starts at zero may delay others.
    """
    for phase in case.phases:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _train(case, phase)


def _train(case: Case, phase: Phase) -> None:
    step = training_step(case)
    vary(step.model, case)
    optimizer = torch.optim.SGD(set_trainable(step, phase), lr=LEARNING_RATE)
    trained = {name: p for name, p in step.named_parameters() if p.requires_grad}
    never = set(trained)
    where = f"{case}, phase {phase.name!r}"
    for seed in range(BATCHES):
        result = run_step(step, case, phase, seed)
        expect_finite_terms(result, f"{where}, batch {seed}")
        result.loss.backward()
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
            if parameter.grad.any():
                never.discard(name)
        optimizer.step()
        optimizer.zero_grad()
        step.objective.after_step(step.model)
    if never:
        raise AssertionError(
            f"{where}: the gradient is zero in each of {BATCHES} batches for "
            f"{', '.join(sorted(never))}; a parameter that cannot learn should not be created"
        )
