"""``dyn eval``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from accelerate import Accelerator

from dyncore.cost import cost_table
from dyncore.data import Loader, load_dataset
from dyncore.network import from_pretrained
from dyncore.training import Precision, evaluate


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Evaluate a saved model on the test split of a data set, with hard decisions."""

    model: Annotated[str, tyro.conf.Positional]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub."""
    data: str
    """Hub id, folder, or ``digits``."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, with a warning; otherwise the first one is an error."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""
    output: str = "evaluation.parquet"
    """Where the file with one row per image goes."""
    batch_size: int = 256
    """Images per batch, over all processes."""
    precision: Precision = "no"
    """Automatic mixed precision: none, or bfloat16."""
    workers: int = 4
    """Processes that decode images; sets of small images need none."""


def run_eval(arguments: Sequence[str]) -> None:
    """``dyn eval MODEL --data DATA``."""
    options = tyro.cli(Arguments, prog="dyn eval", args=list(arguments))
    accelerator = Accelerator(mixed_precision=options.precision)
    model = from_pretrained(options.model, revision=options.revision).to(accelerator.device)
    dataset = load_dataset(options.data, skip_corrupt=options.skip_corrupt)
    preprocessing = model.info.preprocessing or dataset.preprocessing
    if dataset.test is None:
        raise ValueError(f"data set {dataset.name!r} has no test or validation split")
    if len(dataset.classes) != model.config.num_classes:
        raise ValueError(
            f"the model has {model.config.num_classes} classes, data set {dataset.name!r} has "
            f"{len(dataset.classes)}"
        )
    loader = Loader(
        dataset.test,
        batch_size=options.batch_size,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        device=accelerator.device,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        workers=options.workers,
    )
    table = cost_table(model, (3, preprocessing.size, preprocessing.size))
    evaluation = evaluate(model, loader.epoch(0), preprocessing, table, accelerator)
    if accelerator.is_main_process:
        evaluation.save(Path(options.output))
        for name, value in evaluation.metrics().items():
            print(f"{name}: {value:.6g}")
        print(f"per image: {options.output}")
