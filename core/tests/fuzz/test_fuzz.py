"""A few damaged files of every kind; ``nox -s fuzz`` reads thousands."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import datasets
import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)
fuzz = importlib.import_module("fuzz")
loaders = importlib.import_module("loaders")
data_files = importlib.import_module("data_files")
sys.path.remove(HERE)
INPUTS = 6


@pytest.mark.parametrize(
    ("loader", "kind"),
    [(loader, kind) for loader, target in loaders.TARGETS.items() for kind in target.kinds],
)
def test_damage_is_refused_or_does_no_harm(loader, kind, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    tally = fuzz.fuzz(loader, kind, INPUTS, seed=1)
    assert tally.failures == []
    assert tally.counts.total() == INPUTS


def test_what_is_whole_is_accepted(tmp_path, monkeypatch):
    """Otherwise refusals would prove nothing."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for loader, target in loaders.TARGETS.items():
        folder, whole = tmp_path / loader, tmp_path / f"{loader} whole"
        folder.mkdir()
        whole.mkdir()
        made = target.prepare(whole)
        as_is = Random(0)
        if loader == "data.parquet":
            path = target.damage(
                made, folder, lambda _, columns: data_files.parquet(columns), as_is
            )
        else:
            path = target.damage(made, folder, lambda _, content: content, as_is)
        target.read(path)


def test_the_harness_sees_what_is_wrong(monkeypatch):
    """An acceptance of damage, another exception, an endless message."""
    target = loaders.TARGETS["image"]
    whole = {"no damage": (lambda random, data: data, True)}
    changed = replace(target, kinds=whole)
    monkeypatch.setitem(loaders.TARGETS, "image", changed)
    assert fuzz.fuzz("image", "no damage", 3, 0).counts == {"failed": 3}

    def endless(path):
        raise changed.error("x" * 10_000)

    for read in (lambda path: 1 / 0, endless):
        monkeypatch.setitem(loaders.TARGETS, "image", replace(changed, read=read))
        tally = fuzz.fuzz("image", "no damage", 3, 0)
        assert tally.counts == {"failed": 3}
        assert len(tally.failures) == 3
