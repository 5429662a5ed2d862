"""What a run leaves behind."""

import json
from math import cos, pi

import pytest
import torch
from torch.testing import assert_close

import dyncore
from dyncore.data import Loader, load_dataset
from dyncore.gating import config_to_dict
from dyncore.recipes import SGD, Phase, Steps
from dyncore.training import Evaluation, RunOptions, train
from dyncore.training._random import draw_noise

STEPS = {"warm-up": range(1, 4), "train": range(4, 11), "last": range(11, 16)}
"""The steps of ``vanilla_recipe()``, five to the epoch."""


def test_folder_holds_recipe_metrics_checkpoints_evaluation_and_model(finished, vanilla):
    found = {str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*")}
    checkpoints = {path for path in found if path.startswith("checkpoints/")}
    assert found - checkpoints == {
        "recipe.json",
        "metrics.jsonl",
        "checkpoints",
        "evaluation.parquet",
        "model",
        "model/config.json",
        "model/model.safetensors",
    }
    folders = {path.split("/")[1] for path in checkpoints}
    # The start, and the ends of phases and epochs.
    assert folders == {f"step-{step:08d}" for step in (0, 3, 5, 10, 15)}
    saved = json.loads((finished.folder / "recipe.json").read_text())
    assert saved.pop("options")["keep_checkpoints"] == 99
    assert saved == json.loads(json.dumps(config_to_dict(vanilla())))


def test_every_step_has_a_row_with_loss_parts_rate_and_macs(finished, rows):
    steps = [row for row in rows(finished.folder) if "phase" in row]
    assert [row["step"] for row in steps] == list(range(1, 16))
    for row in steps:
        assert row["step"] in STEPS[row["phase"]]
        assert row["epoch"] == row["step"] / 5
        terms = {key for key in row if key.startswith("train/")}
        parts = {"train/classification"}
        if row["phase"] != "warm-up":
            parts.add("train/rate")
        assert terms == parts | {"train/loss", "train/execution_rate", "train/macs_ratio"}
        assert row["train/loss"] == pytest.approx(sum(row[part] for part in parts))
        assert 0 < row["train/execution_rate"] < 1


def test_learning_rate_follows_the_schedules_of_all_phases(finished, rows):
    logged = [row["learning_rate"] for row in rows(finished.folder) if "phase" in row]
    warm_up = [1.0] * 3
    # Milestones at 0.5 and 1.0 epochs: before the 4th and the 6th of seven steps.
    steps = [1.0] * 3 + [0.2] * 2 + [0.04] * 2
    cosine = [(1 + cos(pi * step / 5)) / 2 for step in range(5)]
    assert logged == pytest.approx([0.05 * factor for factor in warm_up + steps + cosine])


def test_evaluations_come_after_each_routed_epoch_and_at_the_end(finished, rows):
    evaluations = [row for row in rows(finished.folder) if "phase" not in row]
    assert [row["step"] for row in evaluations] == [5, 10, 15]
    final, evaluation = evaluations[-1], finished.evaluation
    assert {key.removeprefix("test/"): final[key] for key in final if key.startswith("test/")} == {
        **evaluation.metrics(),
        "block_rates": evaluation.block_rates,
        "relaxed_gap": final["test/relaxed_gap"],
        "relaxed_accuracy_gain": final["test/relaxed_accuracy_gain"],
        "changed_paths": final["test/changed_paths"],
    }
    assert 0 < final["test/relaxed_gap"] < 1
    assert ["test/changed_paths" in row for row in evaluations] == [False, True, True]
    assert all(0 <= row["test/changed_paths"] <= 1 for row in evaluations[1:])


def test_saved_model_reloads_and_predicts_what_the_evaluation_says(finished):
    model = dyncore.from_pretrained(finished.model)
    saved = Evaluation.load(finished.folder / "evaluation.parquet")
    assert model.info.metrics == saved.metrics() == finished.evaluation.metrics()
    test = load_dataset("digits").test
    preprocess = model.info.preprocessing
    loader = Loader(
        test,
        batch_size=240,
        preprocessing=preprocess,
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        device="cpu",
    )
    outputs = [model(preprocess.normalize(batch.images)) for batch in loader.epoch(0)]
    predictions = torch.cat([output.logits.argmax(1) for output in outputs])
    assert predictions.tolist() == saved.prediction.tolist()
    assert torch.cat([output.path.on for output in outputs]).tolist() == saved.path.tolist()
    assert saved.label.tolist() == test.labels.tolist()


def test_same_seed_gives_the_same_bits_and_another_seed_others(
    finished, vanilla, tmp_path, rows, weights
):
    again = train(vanilla(), RunOptions(output=str(tmp_path / "again")))
    other = train(vanilla(), RunOptions(output=str(tmp_path / "other"), seed=1))
    expected = weights(finished)
    assert all(torch.equal(expected[name], value) for name, value in weights(again).items())
    assert rows(again.folder) == rows(finished.folder)
    assert not torch.equal(weights(other)["backbone.fc.weight"], expected["backbone.fc.weight"])
    assert [row["train/loss"] for row in rows(other.folder) if "phase" in row] != [
        row["train/loss"] for row in rows(finished.folder) if "phase" in row
    ]


def test_only_the_newest_checkpoints_stay(vanilla, tmp_path):
    result = train(vanilla(), RunOptions(output=str(tmp_path), keep_checkpoints=1))
    assert [path.name for path in (result.folder / "checkpoints").iterdir()] == ["step-00000015"]


def test_evaluate_every_second_epoch(vanilla, tmp_path, rows):
    recipe = vanilla(phases=(Phase(name="train", epochs=3.0),))
    options = RunOptions(output=str(tmp_path), evaluate_every=2, keep_checkpoints=9)
    folder = train(recipe, options).folder
    assert [row["step"] for row in rows(folder) if "phase" not in row] == [10, 15]
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["step-00000000", "step-00000010", "step-00000015"]


def test_equals_a_loop_written_out(vanilla, tmp_path, weights):
    """Data, noise, loss, schedule, momentum and weight decay, without the trainer."""
    optimizer = SGD(learning_rate=0.1, momentum=0.8, nesterov=True, weight_decay=1e-3)
    phase = Phase(name="train", epochs=2.0, schedule=Steps(milestones=(1.2,), gamma=0.5))
    recipe = vanilla(phases=(phase,), optimizer=optimizer)
    result = train(recipe, RunOptions(output=str(tmp_path), seed=3, kernels=False))

    torch.manual_seed(3)
    model = dyncore.DynamicNetwork(recipe.network)
    sgd = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.8, nesterov=True, weight_decay=1e-3
    )
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
    step = 0
    for epoch in range(2):
        for batch in loader.epoch(epoch):
            noise = draw_noise(model, seed=3, step=step, batch=240, share=slice(0, 240))
            output = model(data.preprocessing.normalize(batch.images), noise=noise)
            loss = torch.nn.functional.cross_entropy(output.logits, batch.labels)
            for decision in output.path.noise_free:
                loss = loss + (decision.weight.mean() - 0.5) ** 2
            sgd.param_groups[0]["lr"] = 0.1 if step < 6 else 0.05
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            step += 1
    assert step == 10
    assert_close(weights(result), dict(model.state_dict()), rtol=1e-4, atol=1e-6)
