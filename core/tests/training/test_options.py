"""How a run computes, and where its numbers go."""

import json
import warnings

import pytest
import torch
from accelerate import tracking
from PIL import Image
from torch.testing import assert_close

from dyncore.recipes import Phase
from dyncore.training import RunOptions, train
from dyncore.training._trainer import Trainer


@pytest.fixture
def short(vanilla):
    """Two phases of two steps."""
    phases = (
        Phase(name="warm-up", epochs=0.4, paths="uniform", objective=("classification",)),
        Phase(name="train", epochs=0.4),
    )
    return vanilla(phases=phases)


@pytest.fixture
def plain(short, tmp_path):
    return train(short, RunOptions(output=str(tmp_path / "plain")))


def test_bfloat16_is_used_and_finite(short, plain, tmp_path, weights, rows):
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    result = train(short, RunOptions(output=str(tmp_path / "bf16"), precision="bf16"))
    expected, found = weights(plain), weights(result)
    assert all(value.isfinite().all() for value in found.values())
    assert {value.dtype for value in found.values()} == {value.dtype for value in expected.values()}
    losses, exact = (
        [row["train/loss"] for row in rows(folder) if "phase" in row]
        for folder in (result.folder, plain.folder)
    )
    assert losses == pytest.approx(exact, rel=0.05)
    assert losses != exact
    kept = ("backbone.conv1.weight", "backbone.fc.weight")
    assert all(not torch.equal(found[name], expected[name]) for name in kept)


def test_channels_last_is_used_and_gives_the_same(short, plain, tmp_path, weights):
    options = RunOptions(output=str(tmp_path / "last"), channels_last=True)
    trainer = Trainer(short, options)
    layouts = []
    trainer.model.backbone.blocks[0].register_forward_pre_hook(
        lambda _module, inputs: layouts.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    result = trainer.run()
    assert layouts
    assert all(layouts)
    assert_close(weights(result), weights(plain), rtol=1e-3, atol=1e-5)


def test_runs_without_kernels_give_the_same_up_to_rounding(short, plain, tmp_path, weights):
    """``plain`` is the run without options."""
    with_kernels = Trainer(short, RunOptions(output=str(tmp_path / "with")))
    trainer = Trainer(short, RunOptions(output=str(tmp_path / "without"), kernels=False))
    fused = [
        sum(block.fused is not None for block in run.model.backbone.blocks)
        for run in (with_kernels, trainer)
    ]
    assert fused == [2, 0]
    assert trainer.model.pool is None is not with_kernels.model.pool
    assert_close(weights(trainer.run()), weights(plain), rtol=1e-3, atol=1e-5)


def test_compiled_run_gives_and_saves_the_same(short, plain, tmp_path, weights):
    """With the compiler's stance "eager": what it generates is not the trainer's business."""
    with torch.compiler.set_stance("force_eager"):
        result = train(short, RunOptions(output=str(tmp_path / "compiled"), compile=True))
    expected, found = weights(plain), weights(result)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def test_only(tmp_path):
    """A data set of two classes that has no train split."""
    for label in ("cat", "dog"):
        folder = tmp_path / "animals" / "test" / label
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "0.png")
    return str(tmp_path / "animals")


def test_data_without_a_train_split_are_refused(vanilla, tmp_path, test_only):
    options = RunOptions(output=str(tmp_path / "runs"), data=test_only)
    with pytest.raises(ValueError, match="data set 'animals' has no train split"):
        train(vanilla(), options)
    assert not (tmp_path / "runs").exists()


def test_a_missing_tracker_is_named(vanilla, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # accelerate's own, when no tracker is left
        with pytest.raises(ValueError, match="trackers: tensorboard is not installed"):
            train(vanilla(), RunOptions(output=str(tmp_path / "r"), trackers=("tensorboard",)))
    assert not (tmp_path / "r").exists()


@pytest.mark.skipif(
    not hasattr(tracking, "register_tracker_class"),
    reason="this accelerate takes no trackers from outside by name",
)
def test_trackers_get_the_numbers_of_the_metrics_file(static, tmp_path, rows):
    logged, folders = [], []

    class Notebook(tracking.GeneralTracker):
        name = "notebook"
        requires_logging_directory = True
        main_process_only = True

        def __init__(self, run_name, logging_dir, **kwargs):
            super().__init__()
            folders.append(str(logging_dir))

        @property
        def tracker(self):
            return None

        def store_init_configuration(self, values):
            json.dumps(values)

        def log(self, values, step=None, **kwargs):
            logged.append({"step": step, **values})

    tracking.register_tracker_class(Notebook)
    result = train(static(), RunOptions(output=str(tmp_path), trackers=("notebook",)))
    assert folders == [str(result.folder)]
    expected = [
        {key: value for key, value in row.items() if key not in ("phase", "test/block_rates")}
        for row in rows(result.folder)
    ]
    assert logged == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evaluate_every": 0}, "evaluate_every must be at least 1, not 0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be at least 1, not 0"),
        ({"workers": -1}, "workers must not be negative, not -1"),
    ],
)
def test_bad_options_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RunOptions(**settings)


@pytest.mark.parametrize("epochs", [0.0, -1.0, float("nan"), float("inf")])
def test_a_length_must_be_a_positive_number(epochs):
    with pytest.raises(ValueError, match=f"epochs must be positive, not {epochs}"):
        RunOptions(epochs=epochs)
