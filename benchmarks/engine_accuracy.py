"""What bfloat16 costs trained networks: accuracy and decisions over all test images.

``python benchmarks/engine_accuracy.py --models FOLDER … --data DATA`` runs each saved network's
engine in both precisions, prints how they differ and writes
``benchmarks/results/engine-accuracy.json``. It needs a processor with bfloat16.

Logits are compared on the path that bfloat16 took; the bound is the one that docs/engine.md states.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from record import record
from rich.console import Console
from rich.table import Table
from torch import Tensor

import dyncore
from dyncore.data import MemorySplit, load_dataset
from dyncore.engine._precision import logit_bound
from dyncore.network import DynamicNetwork, Output

EXAMPLES = (1, 32)
"""Images of an example by which an engine chooses its precision itself."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare engines of trained networks in float32 and in bfloat16."""

    models: tuple[str, ...]
    """Folders of saved networks."""
    data: str = "uoft-cs/cifar10"
    """Data set: a Hub id or a folder."""
    batch: int = 200
    """Images at a time."""


def answers(
    engine: dyncore.Engine, batches: list[Tensor], paths: list[dyncore.ExecutionPath] | None = None
) -> list[Output]:
    """Of all batches; ``paths``: forced."""
    forced = paths or [None] * len(batches)
    return [engine(images, path=path) for images, path in zip(batches, forced, strict=True)]


def decisions(outputs: list[Output]) -> Tensor:
    """(image, path and channel) of all batches."""
    parts = [
        [output.path.on] if (on := output.path.channel_on) is None else [output.path.on, on]
        for output in outputs
    ]
    return torch.cat([torch.cat(columns, 1) for columns in parts])


def logits(outputs: list[Output]) -> Tensor:
    """(image, class) of all batches."""
    return torch.cat([output.logits for output in outputs])


def compare(
    network: DynamicNetwork, images: Tensor, labels: Tensor, batch: int
) -> dict[str, object]:
    """The row of one network; ``images`` are normalised."""
    batches = list(images.split(batch))
    exact, rounded = (
        dyncore.Engine(network, images[:1], precision=precision) for precision in ("fp32", "bf16")
    )
    own, near = answers(exact, batches), answers(rounded, batches)
    alike = logits(answers(exact, batches, [output.path for output in near]))
    table = dyncore.cost_table(network, tuple(images.shape[1:]))
    layers = rounded._runner.backend.plan.depth  # type: ignore[attr-defined]
    row: dict[str, object] = {"images": len(images)}
    for name, outputs in (("fp32", own), ("bf16", near)):
        right = logits(outputs).argmax(1) == labels
        macs = torch.cat([table.macs(output.path) for output in outputs])
        row[f"accuracy_{name}"] = float(right.double().mean())
        row[f"macs_ratio_{name}"] = table.ratio(float(macs.double().mean()))
    other = (decisions(own) != decisions(near)).any(1)
    return row | {
        "other_path": int(other.sum()),
        "other_class": int((logits(own).argmax(1) != logits(near).argmax(1)).sum()),
        "error": float((logits(near) - alike).abs().max()),
        "bound": logit_bound(layers, float(alike.abs().max())),
        "default": {n: dyncore.Engine(network, images[:n]).precision for n in EXAMPLES},
    }


def shown(rows: list[dict[str, object]]) -> Table:
    """One row per network."""
    table = Table(title=f"{rows[0]['images']} images")
    keys = ("accuracy_fp32", "accuracy_bf16", "other_path", "other_class", "error", "bound")
    for column in ("model", *keys, "default"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{row[key]}" for key in ("model", *keys, "default")))
    return table


def main(options: Options) -> None:
    """Compare, print, write the JSON."""
    split = load_dataset(options.data).test
    if not isinstance(split, MemorySplit):
        raise ValueError(f"{options.data} has no test split of small images")
    rows: list[dict[str, object]] = []
    for folder in map(Path, options.models):
        network = dyncore.from_pretrained(folder).eval()
        assert network.info.preprocessing is not None
        images = network.info.preprocessing.normalize(split.images.float() / 255)
        name = folder.parent.name if folder.name == "model" else folder.name
        rows.append({"model": name} | compare(network, images, split.labels, options.batch))
        Console(width=150).print(shown(rows))
    record("engine-accuracy", rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
