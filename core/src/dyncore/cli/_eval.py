"""``dyn eval``."""

import json
from pathlib import Path

from accelerate import Accelerator

from dyncore.cascade import Cascade, from_pretrained
from dyncore.cli._options import EvalOptions
from dyncore.cli._test_split import load_test, numbers_of_classes
from dyncore.cost import cost_table
from dyncore.data import Loader
from dyncore.training import About, evaluate


def run(options: EvalOptions) -> None:
    """``dyn eval MODEL --data DATA``."""
    accelerator = Accelerator(mixed_precision=options.precision)
    model = from_pretrained(options.model, revision=options.revision).to(accelerator.device)
    if options.budget is not None:
        model.set_budget(options.budget)
    dataset, test = load_test(options.data, model, skip_corrupt=options.skip_corrupt)
    preprocessing = model.info.preprocessing or dataset.preprocessing
    numbers = numbers_of_classes(model, dataset)
    monitor = None
    if isinstance(model, Cascade) and model.setting is not None:
        monitor = model.monitor(max(1, len(test) // accelerator.num_processes))
    loader = Loader(
        test,
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
