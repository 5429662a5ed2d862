"""Calls one engine again and again with random batch sizes: memory must stay flat.

``python benchmarks/soak_engine.py [--calls 10000]`` prints resident memory after a warm-up and at
the end, and exits with status 1 if it grew by more than ``--allowed`` MiB.
"""

import random
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from record import record

import dyncore


@dataclass(frozen=True, kw_only=True)
class Options:
    """Call an engine many times."""

    model: str = "vanilla-resnet20-cifar"
    """Name for ``dyncore.create_model``."""
    calls: int = 10_000
    """Calls that count."""
    warm_up: int = 300
    """Calls before: allocators and primitive caches fill up."""
    most: int = 16
    """Largest batch."""
    allowed: float = 16.0
    """MiB by which memory may have grown."""


def resident_mib() -> float:
    """Memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def soak(options: Options) -> tuple[float, float]:
    """Resident MiB after the warm-up and at the end."""
    torch.manual_seed(0)
    draw = random.Random(0)
    model = dyncore.create_model(options.model).eval()
    images = torch.randn(options.most, 3, 32, 32)
    engine = dyncore.Engine(model, images)
    before = 0.0
    for call in range(options.warm_up + options.calls):
        if call == options.warm_up:
            before = resident_mib()
        engine(images[: draw.randint(1, options.most)])
    return before, resident_mib()


def main(options: Options) -> int:
    """Soak, print, record."""
    before, after = soak(options)
    grown = after - before
    print(f"{options.calls} calls: {before:.1f} MiB after the warm-up, {after:.1f} at the end")
    rows = [{"model": options.model, "calls": options.calls, "mib": before, "grown_mib": grown}]
    record("soak_engine", rows)
    return int(grown > options.allowed)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
