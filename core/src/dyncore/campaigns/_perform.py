"""One run of a campaign, in a process of its own."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dyncore.campaigns._campaign import Run
from dyncore.campaigns._provenance import commit, machine, versions
from dyncore.campaigns._result import Result
from dyncore.campaigns._sitting import Sitting
from dyncore.campaigns._workplace import Workplace
from dyncore.cost import CostTable, cost_table
from dyncore.data import Loader, load_dataset
from dyncore.gating import config_to_dict
from dyncore.network import DynamicNetwork, from_pretrained
from dyncore.training import Arguments, Evaluation, shuffled_accuracy, train


def perform(place: Workplace, run: Run) -> Result:
    """Train, or go on training; measure, and keep the result.

    Raises what :func:`dyncore.training.train` does.
    """
    sitting = Sitting(place.folder(run))
    settings, arguments = place.settings(run), place.arguments(run)
    assert settings is not None, "a run begins when those that it needs are done"
    try:
        trained = train(arguments.recipe, arguments.run)
        model = from_pretrained(trained.model)
        table = _costs(model)
        random = bool(arguments.recipe.phases[-1].rates)
        gain = {} if random else {"shuffled_accuracy": _shuffled(model, arguments)}
    finally:
        sitting.pause()
    evaluation = trained.evaluation
    config = json.loads((trained.model / "config.json").read_text(encoding="utf-8"))
    result = Result(
        campaign=place.campaign.name,
        run=run.entry.name,
        seed=run.seed,
        recipe_name=run.entry.recipe,
        options=list(run.entry.options),
        init=run.entry.init,
        settings=config_to_dict(settings),
        versions=versions(name for name in config["requires"] if name != "dyncore"),
        commit=commit(),
        machine=machine(),
        finished=time.strftime("%Y-%m-%d"),
        seconds=round(sitting.seconds, 1),
        sittings=sitting.number,
        curve=_curve(trained.folder / "metrics.jsonl"),
        metrics=evaluation.metrics() | gain,
        paths=_paths(evaluation, table),
        macs={
            "mean": evaluation.mean_macs,
            "static": table.static,
            "always": table.always,
            "routers": sum(block.router for block in table.blocks),
        },
    )
    result.save(place.result_file(run))
    return result


def _costs(model: DynamicNetwork) -> CostTable:
    assert model.info.preprocessing is not None
    size = model.info.preprocessing.size
    return cost_table(model, (3, size, size))


def _shuffled(model: DynamicNetwork, arguments: Arguments) -> float:
    """Accuracy of the model on other images' paths."""
    options = arguments.run
    dataset = load_dataset(
        options.data or arguments.recipe.dataset, skip_corrupt=options.skip_corrupt
    )
    assert dataset.test is not None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = Loader(
        dataset.test,
        batch_size=256,
        preprocessing=dataset.preprocessing,
        shuffle=True,
        device=device,
        workers=options.workers,
    )
    return shuffled_accuracy(model.to(device), loader.epoch(0), dataset.preprocessing)


def _curve(metrics: Path) -> list[dict[str, float]]:
    """The evaluations among the rows of metrics."""
    rows = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
    return [
        {"epoch": row["epoch"]}
        | {
            name.removeprefix("test/"): value
            for name, value in row.items()
            if name.startswith("test/") and isinstance(value, float)
        }
        for row in rows
        if "test/accuracy" in row
    ]


def _paths(evaluation: Evaluation, table: CostTable) -> dict[str, list[Any]]:
    return {
        "block": evaluation.blocks.tolist(),
        "gated": evaluation.gated.tolist(),
        "rate": np.round(evaluation.path.mean(0), 6).tolist(),
        "macs": [path.total for block in table.blocks for path in block.paths],
    }
