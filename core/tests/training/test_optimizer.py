"""Routers and gates may learn at a rate of their own."""

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import dyncore
from dyncore.data import Loader, load_dataset
from dyncore.recipes import SGD, Phase, Steps, TorchOptimizer
from dyncore.training import RunOptions, parse_arguments, train
from dyncore.training._optimizer import build_optimizer, scale_learning_rates
from dyncore.training._random import draw_noise

TWO_RATES = SGD(
    learning_rate=0.1, router_learning_rate=0.02, momentum=0.8, nesterov=True, weight_decay=1e-3
)
PHASE = Phase(name="train", epochs=2.0, schedule=Steps(milestones=(1.2,), gamma=0.5))


def test_groups_are_routers_and_gates_and_all_else(networks):
    model = networks["blend"]
    head = torch.nn.Linear(2, 2)  # an objective part's
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = build_optimizer(model, parameters, TWO_RATES)
    rest, routing = optimizer.param_groups
    deciding = [*model.routers.parameters(), *model.gates.parameters()]
    others = [*model.backbone.parameters(), *head.parameters()]
    assert {id(p) for p in routing["params"]} == {id(p) for p in deciding}
    assert {id(p) for p in rest["params"]} == {id(p) for p in others}
    assert (rest["lr"], routing["lr"]) == (0.1, 0.02)
    for group in optimizer.param_groups:
        settings = {key: group[key] for key in ("momentum", "nesterov", "weight_decay")}
        assert settings == {"momentum": 0.8, "nesterov": True, "weight_decay": 1e-3}
    for factor in (0.5, 0.1):
        scale_learning_rates(optimizer, factor)
        assert (rest["lr"], routing["lr"]) == pytest.approx((0.1 * factor, 0.02 * factor))


@pytest.mark.parametrize(
    ("settings", "name"),
    [(SGD(learning_rate=0.3), "blend"), (TWO_RATES, "static")],
    ids=["one rate", "nothing to route"],
)
def test_one_group_is_enough_for_one_rate(networks, settings, name):
    parameters = list(networks[name].parameters())
    (group,) = build_optimizer(networks[name], parameters, settings).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in parameters]
    assert group["lr"] == settings.learning_rate


def test_training_equals_two_optimisers_written_out(vanilla, tmp_path, weights):
    recipe = vanilla(phases=(PHASE,), optimizer=TWO_RATES)
    result = train(recipe, RunOptions(output=str(tmp_path), seed=3, kernels=False))

    torch.manual_seed(3)
    model = dyncore.DynamicNetwork(recipe.network)
    settings = {"momentum": 0.8, "nesterov": True, "weight_decay": 1e-3, "fused": True}
    deciding = [*model.routers.parameters(), *model.gates.parameters()]
    blocks = torch.optim.SGD(model.backbone.parameters(), lr=0.1, **settings)
    routers = torch.optim.SGD(deciding, lr=0.02, **settings)
    data = load_dataset("digits")
    loader = Loader(
        data.train,
        batch_size=240,
        preprocessing=data.preprocessing,
        augmentation=recipe.augmentation,
        seed=3,
        shuffle=True,
        drop_last=True,
        device="cpu",
    )
    batches = [batch for epoch in range(2) for batch in loader.epoch(epoch)]
    assert len(batches) == 10
    for step, batch in enumerate(batches):
        noise = draw_noise(model, seed=3, step=step, batch=240, share=slice(0, 240))
        output = model(data.preprocessing.normalize(batch.images), noise=noise)
        loss = F.cross_entropy(output.logits, batch.labels)
        loss = loss + sum(
            (decision.weight.mean() - 0.5) ** 2 for decision in output.path.noise_free
        )
        blocks.param_groups[0]["lr"] = 0.1 if step < 6 else 0.05
        routers.param_groups[0]["lr"] = 0.02 if step < 6 else 0.01
        model.zero_grad()
        loss.backward()
        blocks.step()
        routers.step()
    assert_close(weights(result), dict(model.state_dict()), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [TWO_RATES, TorchOptimizer(call="AdamW(lr=0.01)", router_learning_rate=0.002)],
    ids=["SGD", "AdamW"],
)
def test_both_rates_come_back_when_a_run_goes_on(vanilla, tmp_path, weights, settings):
    recipe = vanilla(phases=(PHASE,), optimizer=settings)
    whole = train(recipe, RunOptions(output=str(tmp_path / "whole"), keep_checkpoints=9))
    folder = tmp_path / whole.folder.name
    shutil.copytree(whole.folder, folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000010")
    shutil.rmtree(folder / "model")
    resumed = train(recipe, RunOptions(output=str(tmp_path), resume="auto"))
    expected, found = weights(whole), weights(resumed)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("rate", [0.0, -0.1, float("nan"), float("inf")])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(ValueError, match=f"router_learning_rate must be positive, not {rate}"):
        SGD(router_learning_rate=rate)


def test_a_named_optimiser_keeps_the_routers_share_of_the_rate():
    def rate(recipe: str) -> float | None:
        parsed = parse_arguments(recipe, ["--optimizer", "AdamW(lr=1e-3)"], prog="dyn")
        return parsed.recipe.optimizer.router_learning_rate

    base = "vanilla-resnet32-cifar10-b0.6"
    assert rate(f"{base}+calm") == pytest.approx(2.5e-4)
    assert rate(base) is None
