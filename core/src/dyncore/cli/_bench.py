"""``dyn bench``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from dyncore.engine import Engine
from dyncore.network import from_pretrained
from dyncore.registry import create_model, list_models


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Measure what each part of a model takes in the engine, on this machine, in float32."""

    model: Annotated[str, tyro.conf.Positional]
    """Folder written by ``save_pretrained``, ``org/name`` on the Hub, or the name of a model, which
    then has random weights."""
    batch: int = 1
    """Images per batch."""
    size: int | None = None
    """Height and width of the images; default: the saved model's, else 224, for CIFAR forms 32."""
    threads: int | None = None
    """Threads; default: torch's setting."""
    output: str | None = None
    """Write the profile to this file, e.g. for ``--objective.flops.latency`` in training."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""


def run_bench(arguments: Sequence[str]) -> None:
    """``dyn bench MODEL``."""
    options = tyro.cli(Arguments, prog="dyn bench", args=list(arguments))
    if options.model in list_models():
        model = create_model(options.model).eval()
    else:
        model = from_pretrained(options.model, revision=options.revision).float()
    known = model.info.preprocessing
    usual = 32 if "-cifar" in options.model else 224
    size = options.size or (usual if known is None else known.size)
    profile = Engine(model, torch.zeros(1, 3, size, size), threads=options.threads).profile(
        options.batch
    )
    print(profile)
    if options.output is not None:
        profile.save(Path(options.output))
        print(f"written: {options.output}")
