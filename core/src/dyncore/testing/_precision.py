"""Training and evaluation under automatic mixed precision."""

from pathlib import Path

import torch

from dyncore.gating import Decision
from dyncore.network import run_skipped
from dyncore.recipes import Phase
from dyncore.testing._build import (
    eval_images,
    eval_network,
    expect_finite_terms,
    run_step,
    training_step,
)
from dyncore.testing._case import Case
from dyncore.training import set_trainable


def check_bf16(case: Case, folder: Path) -> None:
    """Under bfloat16 autocast losses, gradients, logits and decisions are finite.

    Decisions stay in at least 32 bits: rates and MACs are sums of many of them.
    """
    for phase in case.phases:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _train(case, phase)
    model, images = eval_network(case).float(), eval_images(case).float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = {"masked": model(images), "skipped": run_skipped(model, images)}
    for form, output in outputs.items():
        where = f"{case}, {form} evaluation in bf16"
        if not output.logits.isfinite().all():
            raise AssertionError(f"{where}: logits are not finite")
        for site in model.sites:
            if site.gated:
                decision = output.path[site.index]
                _expect_usable(decision, f"{where}: weights of block {site.index}")


def _train(case: Case, phase: Phase) -> None:
    where = f"{case}, phase {phase.name!r} in bf16"
    step = training_step(case)
    set_trainable(step, phase)
    with torch.autocast("cpu", torch.bfloat16):
        result = run_step(step, case, phase, seed=0)
    expect_finite_terms(result, where)
    result.loss.backward()
    for name, parameter in step.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise AssertionError(f"{where}: the gradient of {name} is not finite")


def _expect_usable(decision: Decision, what: str) -> None:
    for choice in decision.choices:
        if choice.weight.dtype.itemsize < 4:
            raise AssertionError(
                f"{what} are {choice.weight.dtype}: turn the gate's scores into float32 before "
                "deciding"
            )
        if not choice.weight.isfinite().all():
            raise AssertionError(f"{what} are not finite")
