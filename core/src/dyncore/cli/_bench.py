"""``dyn bench``."""

from pathlib import Path

import torch

from dyncore.cli._options import BenchOptions
from dyncore.cli._waiting import waiting
from dyncore.engine import Engine
from dyncore.network import from_pretrained
from dyncore.registry import create_model, list_models


def run(options: BenchOptions) -> None:
    """``dyn bench MODEL``."""
    if options.model in list_models():
        model = create_model(options.model).eval()
    else:
        model = from_pretrained(options.model, revision=options.revision).float()
    known = model.info.preprocessing
    usual = 32 if "-cifar" in options.model else 224
    size = options.size or (usual if known is None else known.size)
    images = torch.zeros(1, model.config.backbone.in_channels, size, size)
    with waiting("timing every part"):
        profile = Engine(model, images, threads=options.threads).profile(options.batch)
    print(profile)
    if options.output is not None:
        profile.save(Path(options.output))
        print(f"written: {options.output}")
