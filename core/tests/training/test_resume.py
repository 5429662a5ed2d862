"""A run that was killed and goes on ends like one that was not."""

import io
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dyncore.backbones import MobileNetV2Config
from dyncore.data import load_dataset
from dyncore.network import Subnet
from dyncore.objectives import CrossEntropyConfig, NestedConfig
from dyncore.recipes import Phase
from dyncore.training import RunOptions, TrainingResult, train


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


def digits_in_another_order(folder: Path) -> str:
    """Parquet files of the same images, the last one first."""
    digits = load_dataset("digits")
    folder.mkdir()
    for name, split in (("train", digits.train), ("test", digits.test)):
        columns: dict[str, list[object]] = {"image": [], "label": []}
        for pixels, label in zip(split.images.flip(0), split.labels.flip(0), strict=True):
            png = io.BytesIO()
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(png, "PNG")
            columns["image"].append({"bytes": png.getvalue(), "path": None})
            columns["label"].append(int(label))
        pq.write_table(pa.table(columns), folder / f"{name}-0.parquet")
    return str(folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_networks_inside_of_one_go_on_to_the_same_bits(static, tmp_path, weights):
    """What they share stands once in a checkpoint, and the optimiser knows it once."""
    recipe = static(
        network=replace(static().network, nested=(Subnet(blocks=(0,)),)),
        objective={"classification": CrossEntropyConfig(), "nested": NestedConfig()},
    )
    options = RunOptions(output=str(tmp_path / "whole"), checkpoint_every=2, keep_checkpoints=9)
    whole = train(recipe, options)
    killed_after(2, whole, tmp_path / "killed")
    again = train(recipe, replace(options, output=str(tmp_path / "killed"), resume="auto"))
    before, after = weights(whole), weights(again)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name for name in before if name.startswith("nested.") and "conv" in name} == set()
    start = load_file(whole.folder / "checkpoints" / "step-00000000" / "training.safetensors")
    for name in ("nested.0.backbone.layer1.0.bn1.running_mean", "nested.0.backbone.fc.weight"):
        assert not torch.equal(before[name], start[f"model.{name}"])


@pytest.mark.parametrize("step", [0, 3, 5, 10, 15], ids="step {}".format)
def test_resumed_run_ends_with_the_same_bits(finished, vanilla, tmp_path, weights, rows, step):
    """At 3 and 10 a phase ends, the first one within an epoch; at 5 momentum must come back."""
    folder = killed_after(step, finished, tmp_path)
    options = RunOptions(output=str(tmp_path), keep_checkpoints=99, resume="auto")
    resumed = train(vanilla(), options)
    expected, found = weights(finished), weights(resumed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert rows(folder) == rows(finished.folder)
    for name, value in vars(finished.evaluation).items():
        np.testing.assert_array_equal(getattr(resumed.evaluation, name), value)
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {f"step-{s:08d}" for s in (0, 3, 5, 10, 15)}


def test_a_finished_run_is_evaluated_and_saved_again(finished, vanilla, tmp_path):
    shutil.copytree(finished.folder, tmp_path / finished.folder.name)
    options = RunOptions(output=str(tmp_path), keep_checkpoints=99, resume="auto")
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
    resumed = train(recipe, RunOptions(output=str(tmp_path), resume="auto"))
    assert torch.equal(
        weights(resumed)["backbone.classifier.1.weight"],
        weights(whole)["backbone.classifier.1.weight"],
    )


def test_resume_without_a_run_starts_one(static, tmp_path, rows):
    result = train(static(), RunOptions(output=str(tmp_path), resume="auto"))
    assert [row["step"] for row in rows(result.folder)] == [1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        (
            {},
            {"resume": "never"},
            FileExistsError,
            "already holds a run: continue it with --resume auto",
        ),
        ({}, {"seed": 1}, ValueError, "made with seed 0, not 1: resume with the same seed"),
        ({"batch_size": 120}, {}, ValueError, "made with another batch_size: resume with"),
        ({}, {"epochs": 4.0}, ValueError, "made with another phases: resume with"),
        ({}, {"precision": "bf16"}, ValueError, "made with precision no, not bf16: resume with"),
        ({}, {"accumulate": 2}, ValueError, "made with accumulate 1, not 2: resume with the"),
        ({}, {"data": "OTHER"}, ValueError, "with other data: .* those of .*other. Resume with"),
    ],
    ids=["exists", "seed", "batch size", "epochs", "precision", "accumulate", "data"],
)
def test_a_run_that_does_not_fit_the_folder_changes_nothing(
    finished, vanilla, tmp_path, changes, options, error, message
):
    folder = killed_after(5, finished, tmp_path)
    before = contents(folder)
    if "data" in options:
        options = {"data": digits_in_another_order(tmp_path / "other")}
    with pytest.raises(error, match=message):
        train(
            vanilla(**changes), RunOptions(output=str(tmp_path), **({"resume": "auto"} | options))
        )
    assert contents(folder) == before


@pytest.mark.parametrize("damaged", [1, 2, 4], ids="the newest {}".format)
def test_the_newest_whole_checkpoint_is_used(
    finished, vanilla, tmp_path, weights, rows, caplog, damaged
):
    folder = killed_after(10, finished, tmp_path)  # has the checkpoints 0, 3, 5 and 10
    newest = sorted((folder / "checkpoints").iterdir(), reverse=True)[:damaged]
    for checkpoint in newest:
        file = checkpoint / "training.safetensors"
        file.write_bytes(file.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING, "dyncore.training"):
        resumed = train(
            vanilla(), RunOptions(output=str(tmp_path), keep_checkpoints=99, resume="auto")
        )
    reason = "training.safetensors has another checksum than when it was written"
    then = "the run begins again" if damaged == 4 else "an older one is used"
    warned = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert warned == [f"{path} is damaged ({reason}): {then}" for path in newest]
    assert all((path.parent / f"damaged-{path.name}").is_dir() for path in newest)
    expected, found = weights(finished), weights(resumed)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert rows(folder) == rows(finished.folder)


def test_a_row_that_was_written_in_part_goes(finished, vanilla, tmp_path, rows):
    folder = killed_after(10, finished, tmp_path)
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 13, "phase": "la')
    train(vanilla(), RunOptions(output=str(tmp_path), keep_checkpoints=99, resume="auto"))
    assert rows(folder) == rows(finished.folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"options": 3}'])
def test_a_folder_whose_recipe_is_damaged_is_refused(finished, vanilla, tmp_path, text):
    folder = killed_after(10, finished, tmp_path)
    (folder / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read, so nobody knows which run this is"):
        train(vanilla(), RunOptions(output=str(tmp_path), resume="auto"))


def test_data_that_lie_elsewhere_are_the_same_data(finished, vanilla, tmp_path):
    """A run is resumed by what its data are, not by where they were."""
    killed_after(10, finished, tmp_path)
    train(vanilla(dataset="digits"), RunOptions(output=str(tmp_path), data="digits", resume="auto"))
