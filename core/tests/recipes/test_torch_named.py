"""Optimisers and schedules of torch's, by their names and with their own arguments."""

import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from dyncore.recipes import TorchOptimizer, TorchSchedule


def by_torch(name, steps, **arguments):
    """Rates of torch's scheduler, of a base rate of 1, after each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(lr_scheduler, name)(optimizer, **arguments)
        rates = [optimizer.param_groups[0]["lr"]]
        for _ in range(steps):
            scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        ("StepLR(step_size=3, gamma=0.5)", "StepLR", {"step_size": 3, "gamma": 0.5}),
        ("MultiStepLR(milestones=[2, 7])", "MultiStepLR", {"milestones": [2, 7]}),
        ("ExponentialLR(gamma=0.8)", "ExponentialLR", {"gamma": 0.8}),
        ("CosineAnnealingLR(eta_min=0.1)", "CosineAnnealingLR", {"eta_min": 0.1, "T_max": 10}),
        ("LinearLR(start_factor=0.2)", "LinearLR", {"start_factor": 0.2, "total_iters": 10}),
        ("PolynomialLR(power=2.0)", "PolynomialLR", {"power": 2.0, "total_iters": 10}),
        ("CosineAnnealingWarmRestarts(T_0=4)", "CosineAnnealingWarmRestarts", {"T_0": 4}),
    ],
)
def test_a_schedule_counts_epochs_where_torch_counts_steps(call, name, arguments):
    schedule = TorchSchedule(call=call)
    found = [schedule.factor(float(epoch), 10.0) for epoch in range(11)]
    assert found == pytest.approx(by_torch(name, 10, **arguments), abs=1e-6)


def test_a_schedule_moves_on_within_epochs_and_is_scaled():
    cycle = TorchSchedule(call="OneCycleLR(pct_start=0.25)")
    found = [cycle.factor(epoch, 4.0) for epoch in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert found[2] == pytest.approx(1.0, abs=1e-4)
    assert found[0] < found[1] < found[2] > found[3] > found[4] >= 0
    steps = TorchSchedule(call="MultiStepLR(milestones=[1, 3], gamma=0.5)")
    longer = steps.scaled(2.5)
    for epoch in (0.5, 1.5, 3.5):
        assert longer.factor(2.5 * epoch, 10.0) == steps.factor(epoch, 4.0)


def test_an_optimizer_is_torchs_with_its_defaults():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    settings = TorchOptimizer(call="AdamW(lr=3e-4, betas=(0.8, 0.9))", router_learning_rate=1e-4)
    (group,) = settings.build([{"params": [weight], "lr": 3e-4}]).param_groups
    expected = torch.optim.AdamW([weight], lr=3e-4, betas=(0.8, 0.9)).param_groups[0]
    assert {key: group[key] for key in expected} == expected
    assert TorchOptimizer(call="AdamW").learning_rate == 1e-3


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (TorchOptimizer, "Adamw", "optimizer must be one of .*AdamW.*, not 'Adamw'"),
        (TorchOptimizer, "LBFGS", "optimizer must be one of"),
        (TorchOptimizer, "AdamW(rate=1)", "cannot be had: .*rate"),
        (TorchOptimizer, "AdamW(lr=-1)", "cannot be had: .*-1"),
        (TorchOptimizer, "AdamW(1e-3)", "names no class of torch"),
        (TorchOptimizer, "__import__('os').system('true')", "names no class of torch"),
        (TorchSchedule, "LambdaLR", "schedule must be one of .*OneCycleLR"),
        (TorchSchedule, "StepLR", "schedule StepLR cannot be had: .*step_size"),
    ],
)
def test_refusals(kind, call, message):
    with pytest.raises(ValueError, match=message):
        kind(call=call)
