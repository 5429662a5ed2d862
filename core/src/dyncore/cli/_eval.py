"""``dyn eval``."""

import json
import logging
from pathlib import Path

from accelerate import Accelerator

from dyncore.cascade import Cascade, from_pretrained
from dyncore.cli._options import EvalOptions
from dyncore.cost import cost_table
from dyncore.data import Dataset, Loader, load_dataset
from dyncore.network import DynamicNetwork
from dyncore.training import About, evaluate

logger = logging.getLogger("dyncore")


def run(options: EvalOptions) -> None:
    """``dyn eval MODEL --data DATA``."""
    accelerator = Accelerator(mixed_precision=options.precision)
    model = from_pretrained(options.model, revision=options.revision).to(accelerator.device)
    dataset = load_dataset(options.data, skip_corrupt=options.skip_corrupt)
    preprocessing = model.info.preprocessing or dataset.preprocessing
    if dataset.test is None:
        raise ValueError(f"data set {dataset.name!r} has no test or validation split")
    numbers = _numbers_of_classes(model, dataset)
    monitor = None
    if isinstance(model, Cascade) and model.setting is not None:
        monitor = model.monitor(max(1, len(dataset.test) // accelerator.num_processes))
    loader = Loader(
        dataset.test,
        batch_size=options.batch_size,
        preprocessing=preprocessing,
        device=accelerator.device,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        workers=options.workers,
    )
    table = cost_table(model, (len(preprocessing.mean), preprocessing.size, preprocessing.size))
    evaluation = evaluate(
        model,
        loader.epoch(0),
        preprocessing,
        table,
        accelerator,
        classes=numbers,
        about=About.of(model, dataset),
    )
    if accelerator.is_main_process:
        evaluation.save(Path(options.output))
        if options.json:
            print(json.dumps({**evaluation.metrics(), "file": options.output}, indent=2))
            return
        for name, value in evaluation.metrics().items():
            print(f"{name}: {value:.6g}")
        if monitor is not None:
            print(monitor)
        print(f"per image: {options.output}")


def _numbers_of_classes(model: DynamicNetwork | Cascade, dataset: Dataset) -> list[int] | None:
    """The number that each of the model's classes has in the data; None: the same ones.

    Classes are compared by name, as far as names are known. What is done about a difference is
    said. Raises ValueError where labels and logits cannot mean the same classes.
    """
    ours, theirs = model.info.classes, dataset.classes
    count = model.num_classes if isinstance(model, Cascade) else model.config.num_classes
    if count is not None and len(theirs) != count:
        raise ValueError(
            f"the model has {count} classes, data set {dataset.name!r} has {len(theirs)}"
        )
    if ours is None or ours == theirs:
        return None
    if sorted(ours) == sorted(theirs):
        logger.warning(
            "the classes of the model stand in another order than those of %r: they are compared "
            "by name",
            dataset.name,
        )
        return [theirs.index(name) for name in ours]
    if moved := [name for n, name in enumerate(ours) if name in theirs and theirs[n] != name]:
        raise ValueError(
            f"class {moved[0]!r} is number {ours.index(moved[0])} of the model and number "
            f"{theirs.index(moved[0])} of data set {dataset.name!r}, and other names differ: they "
            "cannot be compared, neither by name nor by number; rename the data's classes"
        )
    other = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    logger.warning(
        "%d of %d classes have another name in the model than in %r, e.g. %r and %r: they are "
        "compared by number",
        *(len(other), len(ours), dataset.name, *other[0]),
    )
    return None
