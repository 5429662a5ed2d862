"""Compiles a training step of every method, whole, without the shape checks of the tests.

All in bfloat16 autocast and channels-last. Prints, as JSON, the largest difference of the loss and
of a gradient from those of the step that is not compiled, relative to the largest one.
"""

import copy
import json
from dataclasses import replace

import torch
import torch._dynamo

from dyncore.kernels import install_kernels
from dyncore.recipes import find_recipe
from dyncore.testing import Case
from dyncore.testing._build import run_step, training_step, vary
from dyncore.training import TrainingStep

RECIPES = (
    "static-resnet20-digits",
    "vanilla-resnet20-digits-b0.6",
    "rdinet-resnet20-digits-b0.6",
    "cdb-resnet20-n2-cifar10-b0.6-short",
    "dmnn-resnet20-n2-digits-b0.6",
    "spnet-resnet20-digits-b0.6",
    "lcnet-resnet20-digits-b0.6",
)


def gradient(step: TrainingStep, run: torch.nn.Module, case: Case) -> torch.Tensor:
    """The loss, then the gradients."""
    run.model, run.train = step.model, step.train  # what run_step asks for beside calling it
    with torch.autocast("cpu", torch.bfloat16):
        loss = run_step(run, case, case.phases[-1], seed=0).loss
    loss.backward()
    gradients = [p.grad.flatten() for p in step.parameters() if p.grad is not None]
    return torch.cat([loss.detach()[None], *gradients])


def compare(name: str) -> float:
    torch._dynamo.reset()
    case = Case.of(find_recipe(name))
    backbone = replace(case.network.backbone, depths=(1, 1))
    case = replace(case, network=replace(case.network, backbone=backbone))
    step = training_step(case)
    vary(step.model, case)
    step.to(memory_format=torch.channels_last)
    plain = copy.deepcopy(step)
    install_kernels(step)
    whole = torch.compile(step, backend="eager", fullgraph=True)
    found, expected = gradient(step, whole, case), gradient(plain, plain, case)
    return ((found - expected).abs().max() / expected.abs().max()).item()


if __name__ == "__main__":
    print(json.dumps({name: compare(name) for name in RECIPES}))
