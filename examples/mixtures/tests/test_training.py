"""What is trained and saved are the parts named."""

import json
import subprocess
import sys

import pytest
import torch

import dyncore
from dyncore.recipes import find_recipe

ELSEWHERE = """
import sys
sys.modules["dyn_mixtures"] = None  # importing it is an error
import dyncore, torch
model = dyncore.from_pretrained(sys.argv[1])
images = torch.load(sys.argv[2], weights_only=True)
torch.save({"weights": model.state_dict(), "logits": model(images).logits}, sys.argv[3])
assert not [name for name in sys.modules if name.startswith("dyn_mixtures.")]
"""


def test_a_run_has_the_terms_of_its_parts(trained):
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if "phase" in row][-1]
    terms = {"classification", "rate", "flops", "category"}
    if trained.name.endswith("slow-progress"):
        terms |= {"exits", "path", "logits", "evolution"}
    shown = {key.removeprefix("train/") for key in last if key.startswith("train/")}
    assert shown == terms | {"loss", "execution_rate", "macs_ratio"}
    assert last["train/loss"] == pytest.approx(sum(last[f"train/{term}"] for term in terms))


def test_config_json_names_the_parts_and_their_packages_only(trained):
    text = (trained / "model" / "config.json").read_text()
    saved = json.loads(text)
    assert saved["requires"].keys() == {"dyncore", "dyn-dmnn", "dyn-rdinet"}
    assert saved["network"]["router"]["name"] == "relational"
    assert saved["network"]["gate"]["name"] == "straight-through"
    assert saved["network"]["granularity"]["paths"] == 2
    assert "mixtures" not in text


def test_the_saved_model_has_the_network_and_nothing_of_the_objective(trained):
    model = dyncore.from_pretrained(trained / "model")
    assert model.config == find_recipe(trained.name).network
    assert {name.partition(".")[0] for name in model.state_dict()} == {
        *("backbone", "routers", "gates"),
    }


@pytest.mark.parametrize("trained", ["relational-slow-progress"], indirect=True)
@torch.no_grad()
def test_a_mixture_loads_bit_exactly_where_this_package_cannot_be_imported(trained, tmp_path):
    model = dyncore.from_pretrained(trained / "model")
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.save(images, tmp_path / "images.pt")
    files = (trained / "model", tmp_path / "images.pt", tmp_path / "answer.pt")
    subprocess.run([sys.executable, "-c", ELSEWHERE, *map(str, files)], check=True)
    answer = torch.load(tmp_path / "answer.pt", weights_only=True)
    assert answer["weights"].keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, answer["weights"][name])
    assert torch.equal(model(images).logits, answer["logits"])
