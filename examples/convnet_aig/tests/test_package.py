"""The package is small, is found by its wheel's entry points, trains, and runs in the engine."""

from pathlib import Path

import torch

import dyncore
from dyncore.recipes import find_recipe
from dyncore.training import RunOptions, train

ROOT = Path(__file__).parents[1]


def test_it_is_at_most_150_lines():
    files = [ROOT / "pyproject.toml", *(ROOT / "src").rglob("*.py")]
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 150


def test_it_comes_from_the_wheel(installed):
    method = type(dyncore.create_model("aig-resnet20-cifar").routers["0"])
    assert Path(__import__(method.__module__).__file__).is_relative_to(installed)
    assert "aig" in dyncore.list_methods()


def test_it_trains_and_its_model_comes_back(tmp_path):
    options = RunOptions(output=str(tmp_path), epochs=0.25)
    result = train(find_recipe("aig-resnet20-digits-b0.7"), options)
    model = dyncore.from_pretrained(result.model)
    assert model.info.method == "aig"
    assert model.config.router.name == "bottleneck"


def test_the_engine_runs_its_routers_in_compiled_code():
    torch.manual_seed(0)
    model = dyncore.create_model("aig-resnet20-cifar").eval()
    images = torch.randn(4, 3, 32, 32)
    engine = dyncore.Engine(model, images[:1], threads=1, precision="fp32")
    torch.testing.assert_close(engine(images).logits, model(images).logits, rtol=1e-4, atol=1e-4)
    assert all(site.router.as_weights() is not None for site in model.sites)


def test_a_gate_is_two_layers_of_the_pooled_input():
    """z = GAP(x), then W2 relu(W1 z), on where the second number is the greater one."""
    torch.manual_seed(0)
    model = dyncore.create_model("aig-resnet20-cifar").eval()
    out = model(torch.randn(4, 3, 32, 32))
    for site, decision, pooled in zip(model.sites, out.path, out.pooled, strict=True):
        first, second = site.router.reduce, site.gate.head
        hidden = (pooled @ first.weight.T + first.bias).clamp(min=0)
        off, on = (hidden @ second.weight.T + second.bias).unbind(1)
        assert first.out_features == 16
        torch.testing.assert_close(decision.on[:, 0], on > off)
