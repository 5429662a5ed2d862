"""Milliseconds, speed-up and accuracy on real images, on the paths that these take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dyncore.bench._static import STATIC, NotHereError, Static, static_network
from dyncore.cascade import milliseconds
from dyncore.cost import cost_table
from dyncore.data import Split
from dyncore.engine import Engine, Precision
from dyncore.network import DynamicNetwork

BATCHES = (1, 8, 32)
OURS = "dyncore"
TIMED = 64
"""Images that every engine is timed on, the same ones."""


@dataclass(frozen=True)
class Measured:
    """One engine at one batch size."""

    engine: str
    batch: int
    milliseconds: float
    """Per image: the median of rounds in which the engines take turns."""
    precision: str
    """What it computes in, e.g. "fp32"."""
    speedup: float
    """How many times faster dyncore's engine is; 1 for itself."""


@dataclass(frozen=True)
class Bench:
    """What was measured of one model on one data set."""

    model: str
    data: str
    images: int
    """That were classified, drawn at random from the test split."""
    size: int
    """Height and width."""
    threads: int
    machine: str
    """Of torch's build and the engine's instructions."""
    macs_ratio: float
    """Mean MACs of the images' paths over those of the static backbone, routers included."""
    accuracy: Mapping[str, float]
    """Share of right answers, by engine."""
    measured: tuple[Measured, ...]
    missing: Mapping[str, str]
    """Engines that are not here, or do not take the network, with the reason."""

    def table(self) -> list[list[str]]:
        """Rows of text, the head first."""
        rows = [["batch", "engine", "in", "ms per image", "dyncore is", "accuracy"]]
        for each in self.measured:
            faster = "" if each.engine == OURS else f"{each.speedup:.2f}× as fast"
            right = f"{100 * self.accuracy[each.engine]:.2f} %"
            time = f"{each.milliseconds:.3g}"
            rows.append([str(each.batch), each.engine, each.precision, time, faster, right])
        return rows

    @property
    def about(self) -> str:
        """Under which circumstances."""
        return (
            f"{self.model} on {self.images} images of {self.data}, {self.size} × {self.size}: "
            f"their paths take {100 * self.macs_ratio:.1f} % of the static network's MACs. The "
            f"others run every path. {self.threads} threads, {self.machine}."
        )


@torch.no_grad()
def bench(
    model: DynamicNetwork,
    split: Split,
    *,
    data: str,
    images: int = 500,
    batches: Sequence[int] = BATCHES,
    classes: Sequence[int] | None = None,
    precision: Precision | None = None,
) -> Bench:
    """Measure ``model``, in evaluation and float32 on the CPU, on images of ``split``.

    It takes torch's number of threads. Of the images, 64 are timed, and all are classified, at the
    largest of the ``batches``. ``classes`` are the numbers that the model's classes have in the
    split; None: the same. ``model.info.preprocessing`` says what images go through. Every engine
    computes in the ``precision`` that it chooses itself, or, with "fp32", in float32; "bf16" is for
    ours alone.

    Raises ValueError for a model that does not say so, for no images or batches, and where the
    engine does not take the model.
    """
    preprocessing = model.info.preprocessing
    if preprocessing is None:
        raise ValueError("the model does not say what its images go through (info.preprocessing)")
    if images < 1 or not batches or min(batches) < 1:
        raise ValueError(f"images and batches must be at least 1, not {images} and {batches}")
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:images]
    pixels = split.look(order.tolist(), preprocessing).float() / 255
    inputs, labels = preprocessing.normalize(pixels), split.labels.cpu()[order]
    numbers = None if classes is None else torch.tensor(classes)
    subjects = _Subjects(model, inputs[:TIMED], precision)
    missing: dict[str, str] = {}
    measured: list[Measured] = []
    accuracy: dict[str, float] = {}
    for batch in sorted(batches):
        timed = _cycled(inputs, -(-TIMED // batch) * batch).split(batch)
        built, missing = subjects.for_batches_of(batch, timed[0])
        times = milliseconds({name: engine.run for name, engine in built.items()}, timed)
        measured += [
            Measured(name, batch, times[name], engine.precision, times[name] / times[OURS])
            for name, engine in built.items()
        ]
        if batch == max(batches):
            accuracy = _accuracy(built, inputs, labels, batch, numbers)
    return Bench(
        model=_name(model),
        data=data,
        images=len(inputs),
        size=preprocessing.size,
        threads=torch.get_num_threads(),
        machine=f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}",
        macs_ratio=_macs_ratio(model, subjects.engine, inputs, max(batches)),
        accuracy=accuracy,
        measured=tuple(measured),
        missing=missing,
    )


class _Subjects:
    """The engines, each built for a batch size."""

    def __init__(self, model: DynamicNetwork, images: Tensor, precision: Precision | None) -> None:
        self.engine = Engine(model, images, precision=precision)
        self._static = static_network(model)
        self._precision = precision

    def for_batches_of(
        self, batch: int, images: Tensor
    ) -> tuple[dict[str, Static], dict[str, str]]:
        """By name; and those that are not here, with the reason."""
        ours = Static(lambda each: self.engine(each).logits, self.engine.precision)
        found = {OURS: ours}
        missing: dict[str, str] = {}
        for name, build in STATIC.items():
            try:
                found[name] = build(self._static, images, self._precision)
                found[name].run(images)
            except NotHereError as error:
                missing[name] = str(error)
            except Exception as error:  # whatever an exporter makes of a network
                found.pop(name, None)
                missing[name] = f"does not take this network: {str(error).splitlines()[0][:200]}"
        return found, missing


def _accuracy(
    built: Mapping[str, Static], inputs: Tensor, labels: Tensor, batch: int, numbers: Tensor | None
) -> dict[str, float]:
    """Share of right answers of each engine, which is told the size of a ``batch``."""
    whole = _cycled(inputs, -(-len(inputs) // batch) * batch).split(batch)
    found = {}
    for name, engine in built.items():
        logits = torch.cat([engine.run(each) for each in whole])[: len(inputs)]
        answer = logits.argmax(1) if numbers is None else numbers[logits.argmax(1)]
        found[name] = float((answer == labels).double().mean())
    return found


def _macs_ratio(model: DynamicNetwork, engine: Engine, inputs: Tensor, batch: int) -> float:
    channels, height, width = inputs.shape[1:]
    table = cost_table(model, (channels, height, width))
    paths = [engine(each).path for each in inputs.split(batch)]
    return float(torch.cat([table.macs(path) for path in paths]).double().mean()) / table.static


def _cycled(images: Tensor, count: int) -> Tensor:
    """So many images, the first ones again where there are fewer."""
    return images[torch.arange(count) % len(images)]


def _name(model: DynamicNetwork) -> str:
    recipe: Any = (model.info.recipe or {}).get("name")
    return str(recipe or model.info.model or "the model")
