"""A whole run on a GPU; no other test of the trainer sees one."""

import pytest

import dyncore
from dyncore.data import Loader, load_dataset
from dyncore.training import RunOptions, train

pytestmark = pytest.mark.needs_gpu


@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_trains_evaluates_and_saves_what_the_cpu_can_read(
    vanilla, tmp_path, monkeypatch, rows, compiled
):
    pytest.importorskip("sklearn", reason="digits need scikit-learn")
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    options = RunOptions(
        output=str(tmp_path), precision="bf16", channels_last=True, compile=compiled
    )
    result = train(vanilla(), options)
    losses = [row["train/loss"] for row in rows(result.folder) if "phase" in row]
    assert len(losses) == 15
    dataset, model = load_dataset("digits"), dyncore.from_pretrained(result.model)
    loader = Loader(
        dataset.test,
        batch_size=len(dataset.test),
        preprocessing=dataset.preprocessing,
        device="cpu",
    )
    (batch,) = loader.epoch(0)
    found = model(dataset.preprocessing.normalize(batch.images)).logits.argmax(1)
    agreed = (found.numpy() == result.evaluation.prediction).mean()
    assert agreed > 0.95  # bfloat16 and float32 round otherwise
