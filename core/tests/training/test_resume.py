"""A run that was killed and goes on ends like one that was not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dyncore.backbones import MobileNetV2Config
from dyncore.training import Phase, RunOptions, TrainingResult, train


def killed_after(step: int, finished: TrainingResult, output: Path) -> Path:
    """The folder as it is when the run dies some steps after the checkpoint at ``step``."""
    folder = output / finished.folder.name
    shutil.copytree(finished.folder, folder)
    for checkpoint in (folder / "checkpoints").iterdir():
        if checkpoint.name > f"step-{step:08d}":
            shutil.rmtree(checkpoint)
    rows = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [row for row in rows if json.loads(row)["step"] <= step + 2]
    (folder / "metrics.jsonl").write_text("".join(kept))
    shutil.rmtree(folder / "model")
    (folder / "evaluation.parquet").unlink()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("step", [3, 5, 10, 15], ids="step {}".format)
def test_resumed_run_ends_with_the_same_bits(finished, vanilla, tmp_path, weights, rows, step):
    """At 3 and 10 a phase ends, the first one within an epoch; at 5 momentum must come back."""
    folder = killed_after(step, finished, tmp_path)
    options = RunOptions(output=str(tmp_path), keep_checkpoints=99, resume=True)
    resumed = train(vanilla(), options)
    expected, found = weights(finished), weights(resumed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert rows(folder) == rows(finished.folder)
    for name, value in vars(finished.evaluation).items():
        np.testing.assert_array_equal(getattr(resumed.evaluation, name), value)
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {f"step-{s:08d}" for s in (3, 5, 10, 15)}


def test_a_finished_run_is_evaluated_and_saved_again(finished, vanilla, tmp_path):
    shutil.copytree(finished.folder, tmp_path / finished.folder.name)
    options = RunOptions(output=str(tmp_path), keep_checkpoints=99, resume=True)
    resumed = train(vanilla(), options)
    changed = contents(resumed.folder)
    before = contents(finished.folder)
    assert [name for name in before if changed[name] != before[name]] == ["recipe.json"]  # options


def test_dropout_goes_on_where_it_was(static, tmp_path, weights):
    recipe = static(phases=(Phase(name="train", epochs=0.6), Phase(name="on", epochs=0.4)))
    backbone = MobileNetV2Config(width=0.1, dropout=0.5)
    recipe = replace(recipe, network=replace(recipe.network, backbone=backbone))
    whole = train(recipe, RunOptions(output=str(tmp_path / "whole")))
    killed_after(3, whole, tmp_path)
    resumed = train(recipe, RunOptions(output=str(tmp_path), resume=True))
    assert torch.equal(
        weights(resumed)["backbone.classifier.1.weight"],
        weights(whole)["backbone.classifier.1.weight"],
    )


def test_resume_without_a_run_starts_one(static, tmp_path, rows):
    result = train(static(), RunOptions(output=str(tmp_path), resume=True))
    assert [row["step"] for row in rows(result.folder)] == [1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({}, {"resume": False}, FileExistsError, "already holds a run: continue it with --resume"),
        ({}, {"seed": 1}, ValueError, "made with seed 0, not 1: resume with the same seed"),
        ({"batch_size": 120}, {}, ValueError, "made with another batch_size: resume with"),
        ({}, {"epochs": 4.0}, ValueError, "made with another phases: resume with"),
    ],
    ids=["exists", "seed", "batch size", "epochs"],
)
def test_a_run_that_does_not_fit_the_folder_changes_nothing(
    finished, vanilla, tmp_path, changes, options, error, message
):
    folder = killed_after(5, finished, tmp_path)
    before = contents(folder)
    with pytest.raises(error, match=message):
        train(vanilla(**changes), RunOptions(output=str(tmp_path), **({"resume": True} | options)))
    assert contents(folder) == before
