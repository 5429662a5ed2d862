"""The models in the box: they load, answer, and their cards say what their files say."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

import dyncore
from dyncore.cascade import Cascade

FOLDERS = sorted(folder for folder in (Path(__file__).parents[1] / "models").iterdir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_in_the_box_answers_as_its_card_says(folder):
    model = dyncore.from_pretrained(folder)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    output = model(images) if isinstance(model, Cascade) else model((images - 0.5) / 0.25)
    assert output.logits.shape == (4, len(model.info.classes))
    assert output.logits.isfinite().all()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{model.info.metrics['accuracy']:.4f}" in card
    assert "JPEG" in card
    assert f'from_pretrained("models/{folder.name}")' in card


def test_the_cascades_dial_turns_without_images():
    cascade = dyncore.from_pretrained(FOLDERS[0].parent / "cascade-resnet-cifar10")
    costs, accuracies = [], []
    for budget in (0.35, 0.4, 0.5, 0.6):
        cascade.set_budget(budget)
        costs.append(cascade.setting.cost / cascade.calibration.last_cost)
        accuracies.append(cascade.setting.accuracy)
        assert costs[-1] <= budget
    assert costs == sorted(costs)
    assert accuracies == sorted(accuracies)


@pytest.mark.parametrize("name", ["cascade", "paths"])
def test_the_readmes_figures_are_drawn_from_what_is_measured(name):
    root = Path(__file__).parents[1]
    sys.path.insert(0, str(root / "benchmarks"))
    try:
        figure = importlib.import_module(f"{name}_figure")
    finally:
        sys.path.remove(str(root / "benchmarks"))
    said = figure.description(figure.sources())
    for theme in figure.LOOKS:
        assert said in (root / f"docs/figures/{name}-{theme}.svg").read_text(encoding="utf-8")
