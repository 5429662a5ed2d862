"""What a page says of a campaign is what its results say."""

import importlib
import sys
from pathlib import Path

import pytest

from dyncore.campaigns import Result

CAMPAIGN = """
[runs.small]
recipe = "static-resnet20-cifar10"
seeds = [0, 1]

[runs.large]
recipe = "static-resnet32-cifar10"

[runs.routed]
recipe = "vanilla-resnet32-cifar10-b0.6"
seeds = [0, 1]

[runs.subnet]
recipe = "static-resnet32-cifar10"
seeds = [0, 1]
subnet_of = "routed"

[runs.random]
recipe = "vanilla-resnet32-cifar10-b0.6"
rates_of = "routed"

[runs.open]
recipe = "vanilla-resnet32-cifar10-b0.6"
"""


def keep(folder: Path, run: str, seed: int, accuracy: float, macs: float, paths: float = 1) -> None:
    Result(
        campaign="made",
        run=run,
        seed=seed,
        recipe_name="",
        options=[],
        init=None,
        settings={},
        versions={"torch": "2.0.0+cpu"},
        commit="0123456789",
        machine={"processor": "P", "device": "cpu"},
        finished="",
        seconds=1800.0,
        sittings=1,
        curve=[],
        metrics={
            "accuracy": accuracy,
            "mean_macs": macs,
            "distinct_paths": paths,
            "shuffled_accuracy": accuracy - 0.01,
        },
        paths={},
    ).save(folder / "made" / f"{run}-s{seed}.json")


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    module = importlib.import_module("page_campaign")
    monkeypatch.setattr(module, "CAMPAIGNS", tmp_path)
    monkeypatch.setattr("page_markdown.RESULTS", tmp_path)
    (tmp_path / "made.toml").write_text(CAMPAIGN, encoding="utf-8")
    yield module
    sys.modules.pop("page_campaign")


def test_routed_runs_stand_beside_what_they_have_to_beat(page, tmp_path):
    for seed, accuracy in enumerate((0.80, 0.82)):
        keep(tmp_path, "small", seed, accuracy, 40e6)
    keep(tmp_path, "large", 0, 0.85, 60e6)
    keep(tmp_path, "routed", 0, 0.83, 45e6, paths=7)
    keep(tmp_path, "routed", 1, 0.84, 45e6, paths=9)
    keep(tmp_path, "subnet", 1, 0.85, 45e6)
    keep(tmp_path, "random", 0, 0.79, 45e6)
    text = page.campaign("made")
    assert "; 7 of 9 runs done (" in text
    assert "P, cpu; torch 2.0.0; commits 0123456; 3.5 h." in text
    rows = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if line.startswith("| `") and (cells := [c.strip() for c in line.strip("|").split("|")])
    }
    assert rows.keys() == {"`small`", "`large`", "`routed`"}
    half = 12.71 * 0.02 / 2  # of two values that are 0.02 apart
    assert rows["`small`"][:3] == ["2", f"0.8100 ± {half:.4f}", "40.0"]
    assert rows["`large`"][:2] == ["1", "0.8500"]
    count, accuracy, macs, *points, paths, minutes = rows["`routed`"]
    assert (count, accuracy.partition(" ")[0], macs) == ("2", "0.8350", "45.0")
    static = 100 * (0.835 - (0.81 + 0.25 * 0.04))  # a quarter of the way from 40 to 60 M
    assert points == [f"{static:+.1f}", "−1.0", "+4.0", "−1.0", ""]
    assert (paths, minutes) == ("7 … 9", "30")


def test_nothing_done_yet(page):
    assert page.campaign("made").endswith("). Not measured yet.")
