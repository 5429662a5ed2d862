"""Every method on one small network for a few epochs, beside the static one, in one run.

``python benchmarks/race.py --data FOLDER [--epochs 6]`` trains ResNet-20 on CIFAR-10 by the short
recipes of all methods, prints a table and writes ``benchmarks/results/race.json``. ``--only`` names
recipes of your own choice; the first one is what the others are compared with. All aim at one
``--budget``: 0.7 of the gated MACs, the rate of most rows in CDB's and DMNN's papers.

``--jobs`` trainings run at a time, each on its share of the threads: on a CPU two of one thread
finish sooner than one of two.
"""

import multiprocessing
import re
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from record import record
from rich.console import Console
from rich.table import Table

import dyncore
from dyncore.objectives import ExecutionRateConfig, FlopsRatioConfig
from dyncore.recipes import Recipe, find_recipe
from dyncore.training import RunOptions, train

RECIPES = (
    "static-resnet20-cifar10-short",
    "vanilla-resnet20-cifar10-b0.6-short",
    "rdinet-resnet20-cifar10-b0.6-short",
    "cdb-resnet20-n2-cifar10-b0.6-short",
    "dmnn-resnet20-n2-cifar10-b0.6-short",
    "spnet-resnet20-cifar10-b0.6-short",
    "lcnet-resnet20-cifar10-b0.6-short",
)

BUDGETS = (ExecutionRateConfig, FlopsRatioConfig)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train every method on one small network and compare."""

    data: str | None = None
    """Data set in place of the recipes': a Hub id or a folder."""
    epochs: float = 6
    """Epochs of each training."""
    only: tuple[str, ...] = RECIPES
    """Recipes to train."""
    budget: float = 0.7
    """Target of their rate and FLOPs losses, in place of the recipes' own."""
    output: str = "runs"
    """The results go into a new folder in here."""
    seed: int = 0
    """Of everything random."""
    precision: Literal["no", "bf16"] = "no"
    """Automatic mixed precision: none, or bfloat16."""
    channels_last: bool = False
    """Keep images and weights in channels-last memory format."""
    jobs: int = 1
    """Trainings at a time."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, not {self.jobs}")
        if not 0 < self.budget <= 1:
            raise ValueError(f"budget must be in (0, 1], not {self.budget}")


def run(name: str, options: Options, folder: Path) -> dict[str, float | str]:
    """Train one recipe."""
    recipe = at_budget(find_recipe(name), options.budget)
    result = train(
        recipe,
        RunOptions(
            data=options.data,
            epochs=options.epochs,
            output=str(folder),
            seed=options.seed,
            precision=options.precision,
            channels_last=options.channels_last,
        ),
    )
    evaluation = result.evaluation
    gated = {int(block) for block in evaluation.blocks[evaluation.gated]}
    rates = [rate for block, rate in enumerate(evaluation.block_rates) if block in gated]
    return {
        "recipe": recipe.name,
        "epochs": options.epochs,
        **evaluation.metrics(),
        "budget_macs_ratio": budget_ratio(recipe, result.model),
        "lowest_block_rate": min(rates, default=1.0),
        "highest_block_rate": max(rates, default=1.0),
        "seconds_per_epoch": result.seconds / options.epochs,
    }


def at_budget(recipe: Recipe, budget: float) -> Recipe:
    """The recipe with another target; it is named after the target, a static one is not changed."""
    targeted = {
        key: replace(part, target=budget)
        for key, part in recipe.objective.items()
        if isinstance(part, BUDGETS)
    }
    if not targeted:
        return recipe
    name = re.sub(r"-b[\d.]+", f"-b{budget:g}", recipe.name)
    return replace(recipe, name=name, objective={**recipe.objective, **targeted})


def budget_ratio(recipe: Recipe, model: Path) -> float:
    """The MACs ratio of a network that meets its target exactly; static: 1."""
    network = dyncore.from_pretrained(model)
    assert network.info.preprocessing is not None
    size = network.info.preprocessing.size
    table = dyncore.cost_table(network, (3, size, size))
    parts = (part for part in recipe.objective.values() if isinstance(part, BUDGETS))
    target = next((part.target for part in parts), 1.0)
    return table.ratio(table.always + target * table.gated)


def shown(rows: list[dict[str, float | str]]) -> Table:
    """One row per recipe; the first one is the reference of accuracy and seconds."""
    table = Table(title=f"{rows[0]['epochs']:g} epochs, 1 run each (1 MAC = 2 FLOPs)")
    columns = ("recipe", "accuracy", "points", "MACs ratio", "at budget", "rate", "of blocks")
    for column in (*columns, "paths", "bits", "s/epoch", "time"):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for row in rows:
        values = {key: float(value) for key, value in row.items() if key != "recipe"}
        table.add_row(
            str(row["recipe"]),
            f"{values['accuracy']:.4f}",
            f"{100 * (values['accuracy'] - float(rows[0]['accuracy'])):+.1f}",
            f"{values['macs_ratio']:.3f}",
            f"{values['budget_macs_ratio']:.3f}",
            f"{values['execution_rate']:.3f}",
            f"{values['lowest_block_rate']:.2f} … {values['highest_block_rate']:.2f}",
            f"{values['distinct_paths']:.0f}",
            f"{values['path_entropy_bits']:.2f}",
            f"{values['seconds_per_epoch']:.1f}",
            f"{values['seconds_per_epoch'] / float(rows[0]['seconds_per_epoch']):.2f}",
        )
    return table


def main(options: Options) -> None:
    """Train, print the table after each run, write the JSON."""
    folder = Path(options.output) / time.strftime("race-%Y%m%d-%H%M%S")
    console = Console(width=140)
    rows = []
    with ProcessPoolExecutor(
        options.jobs,
        multiprocessing.get_context("spawn"),
        torch.set_num_threads,
        (max(1, torch.get_num_threads() // options.jobs),),
    ) as pool:
        for row in pool.map(partial(run, options=options, folder=folder), options.only):
            rows.append(row)
            console.print(shown(rows))
    record("race", rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
