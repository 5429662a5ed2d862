"""``dyn eval``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from accelerate import Accelerator

from dyncore.cascade import Cascade, from_pretrained
from dyncore.cost import cost_table
from dyncore.data import Dataset, Loader, load_dataset
from dyncore.network import DynamicNetwork
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
    _check_classes(model, dataset)
    monitor = None
    if isinstance(model, Cascade) and model.setting is not None:
        monitor = model.monitor(max(1, len(dataset.test) // accelerator.num_processes))
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
        if monitor is not None:
            print(monitor)
        print(f"per image: {options.output}")


def _check_classes(model: DynamicNetwork | Cascade, dataset: Dataset) -> None:
    """Raise ValueError for other classes than the data's, as far as names and numbers tell."""
    known = model.info.classes
    count = model.num_classes if isinstance(model, Cascade) else model.config.num_classes
    if count is not None and len(dataset.classes) != count:
        raise ValueError(
            f"the model has {count} classes, data set {dataset.name!r} has {len(dataset.classes)}"
        )
    if known is not None and known != dataset.classes and set(known) == set(dataset.classes):
        raise ValueError(
            f"the classes of the model stand in another order than those of {dataset.name!r}: "
            "labels would be compared with other classes' logits"
        )
