"""Kill training runs at random moments; each must end as if nothing had happened.

``python benchmarks/soak_resume.py [--kills 20]`` trains small networks on digits by the recipes of
RDI-Net (a warm-up, then ranking over the batch) and SP-Net (an EMA twin). A run is a process of its
own, writes a checkpoint after every step, and dies by SIGKILL while it starts, trains or writes;
then it goes on with ``resume="auto"``. When it ends, its checkpoints, metrics, evaluation and model
are compared, byte by byte, with those of a run that nobody killed, and the next run begins. Prints
a row per kill and writes ``benchmarks/results/soak_resume.json``.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import torch
import tyro
from record import record

from dyncore.backbones import ResNetConfig
from dyncore.recipes import find_recipe
from dyncore.training import Evaluation, RunOptions, train

RECIPES = ("rdinet-resnet20-digits-b0.6", "spnet-resnet20-digits-b0.6")
TINY = ResNetConfig(block="basic", depths=(1, 1, 1), widths=(4, 6, 8), stem="cifar", shortcut="pad")
EPOCHS = 3.0
PRELOADED = [
    "sklearn.datasets",
    "dyncore.methods.static.recipes",
    "dyncore.methods.vanilla.recipes",
    *(f"dyn_{name}.recipes" for name in ("cdb", "dmnn", "lcnet", "mixtures", "rdinet", "spnet")),
]
"""What a new process finds imported."""
STARTING = 0.2
"""Share of the kills that come while a process starts; the others come while it trains."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Kill training runs at random moments."""

    kills: int = 20
    """How often."""
    seed: int = 0
    """Of the moments; a process's speed decides, too."""


@dataclass(frozen=True)
class Kill:
    """What one kill left behind."""

    recipe: str
    step: int
    """Of the newest checkpoint; -1: there is none."""
    writing: bool
    """Whether a checkpoint was half written."""


def run(name: str, output: str) -> None:
    """Train a small network by the recipe, from where it stands; this is what gets killed."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    recipe = find_recipe(name)
    recipe = replace(recipe, network=replace(recipe.network, backbone=TINY), batch_size=120)
    options = RunOptions(
        output=output, epochs=EPOCHS, resume="auto", checkpoint_every=1, keep_checkpoints=3
    )
    train(recipe, options)


def start(name: str, output: Path) -> BaseProcess:
    """Start :func:`run` in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=run, args=(name, str(output)))
    process.start()
    return process


def finish(name: str, output: Path) -> Path:
    """Let the run come to its end; its folder."""
    process = start(name, output)
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"{name} in {output} ended with exit code {process.exitcode}")
    return output / name


def newest(folder: Path) -> int:
    """Step of the newest checkpoint that has its name; -1: there is none."""
    names = [path.name for path in (folder / "checkpoints").glob("step-*")]
    return max((int(name.removeprefix("step-")) for name in names), default=-1)


def kill(name: str, output: Path, moments: random.Random, ahead: int) -> Kill | None:
    """Go on with the run and kill it, up to ``ahead`` steps later; None: it ended before."""
    folder = output / name
    process = start(name, output)
    if moments.random() < STARTING:
        process.join(moments.uniform(0, 2))
    else:
        target = newest(folder) + moments.randint(1, ahead)
        while newest(folder) < target and process.is_alive():
            time.sleep(0.001)
        process.join(moments.uniform(0, 0.05))
    process.kill()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        return None
    halves = list((folder / "checkpoints").glob(".step-*"))
    return Kill(name, newest(folder), any(not half.name.endswith(".gone") for half in halves))


def differences(found: Path, expected: Path) -> list[str]:
    """The files in which two runs differ; ``recipe.json`` names the folder and may."""
    files = [
        {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        for folder in (found, expected)
    ]
    differing = sorted(files[0] ^ files[1])
    for name in sorted((files[0] & files[1]) - {"recipe.json", "evaluation.parquet"}):
        if (found / name).read_bytes() != (expected / name).read_bytes():
            differing.append(name)
    rows = [Evaluation.load(folder / "evaluation.parquet") for folder in (found, expected)]
    for column, value in vars(rows[1]).items():
        if not np.array_equal(getattr(rows[0], column), value):
            differing.append(f"evaluation.parquet, {column}")
    return differing


def soak(folder: Path, kills: int, seed: int, recipes: Sequence[str] = RECIPES) -> list[Kill]:
    """Kill ``kills`` times, in turn the runs of ``recipes``; SystemExit if one ends differently."""
    moments = random.Random(seed)
    whole = {name: finish(name, folder / "whole") for name in recipes}
    each = -(-kills // len(recipes))
    survived: list[Kill] = []
    turn = 0
    while len(survived) < kills:
        name, output = recipes[turn % len(recipes)], folder / f"killed-{turn}"
        ahead = max(1, 2 * newest(whole[name]) // (each + 1))
        for _ in range(min(each, kills - len(survived))):
            killed = kill(name, output, moments, ahead)
            if killed is None:
                break
            survived.append(killed)
            print(f"kill {len(survived)}: {killed}", flush=True)
        if differing := differences(finish(name, output), whole[name]):
            raise SystemExit(f"{name} in {output} ended differently: {', '.join(differing)}")
        print(f"{name}: ended as the run that nobody killed, byte by byte", flush=True)
        turn += 1
    return survived


def main(options: Options) -> None:
    """Soak, print and write down."""
    with tempfile.TemporaryDirectory() as folder:
        survived = soak(Path(folder), options.kills, options.seed)
    halves = sum(killed.writing for killed in survived)
    print(f"{len(survived)} kills survived, {halves} of them while a checkpoint was written")
    record("soak_resume", [vars(killed) for killed in survived])


if __name__ == "__main__":
    main(tyro.cli(Options))
