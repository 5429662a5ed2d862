"""``dyn eval``."""

from pathlib import Path

from accelerate import Accelerator

from dyncore.cascade import Cascade, from_pretrained
from dyncore.cli._options import EvalOptions
from dyncore.cost import cost_table
from dyncore.data import Dataset, Loader, load_dataset
from dyncore.network import DynamicNetwork
from dyncore.training import evaluate


def run(options: EvalOptions) -> None:
    """``dyn eval MODEL --data DATA``."""
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
