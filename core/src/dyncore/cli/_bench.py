"""``dyn bench``."""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from dyncore.bench import BATCHES, Bench, bench, figure
from dyncore.cli._options import BenchOptions
from dyncore.cli._test_split import load_test, numbers_of_classes
from dyncore.cli._waiting import waiting
from dyncore.engine import Engine
from dyncore.files import replacing
from dyncore.network import from_pretrained
from dyncore.registry import create_model, list_models

FOLDER = "bench"
FILE = "bench.json"


def run(options: BenchOptions) -> None:
    """``dyn bench MODEL``."""
    if options.blocks:
        _time_blocks(options)
    else:
        _measure(options)


def _measure(options: BenchOptions) -> None:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    model = from_pretrained(options.model, revision=options.revision).float().eval()
    if options.budget is not None:
        model.set_budget(options.budget)
    dataset, test = load_test(options.data or "", model, skip_corrupt=options.skip_corrupt)
    found = bench(
        model,
        test,
        data=dataset.name,
        images=options.images,
        batches=options.batch or BATCHES,
        classes=numbers_of_classes(model, dataset),
        precision=options.precision,
    )
    folder = Path(options.output or FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(found), indent=2)
    with replacing(folder / FILE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    figure(found).save(folder)
    if options.json:
        print(text)
    else:
        _print(found)
        print(f"figure: {folder / 'bench.png'}")


def _print(found: Bench) -> None:
    from rich.console import Console
    from rich.table import Table

    head, *rows = found.table()
    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row, style="bold" if row[1] == "dyncore" else None)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
    console.print(f"\n{found.about}", highlight=False, markup=False)
    for name, why in found.missing.items():
        console.print(f"not measured: {name}, {why}", highlight=False, markup=False)


def _time_blocks(options: BenchOptions) -> None:
    if options.model in list_models():
        model = create_model(options.model).eval()
    else:
        model = from_pretrained(options.model, revision=options.revision).float()
    if options.budget is not None:
        model.set_budget(options.budget)
    known = model.info.preprocessing
    usual = 32 if "-cifar" in options.model else 224
    size = options.size or (usual if known is None else known.size)
    images = torch.zeros(1, model.config.backbone.in_channels, size, size)
    (batch,) = options.batch or (1,)
    with waiting("timing every part"):
        engine = Engine(model, images, threads=options.threads, precision=options.precision)
        profile = engine.profile(batch)
    print(json.dumps(asdict(profile), indent=2) if options.json else profile)
    if options.output is not None:
        profile.save(Path(options.output))
        print(f"written: {options.output}")
