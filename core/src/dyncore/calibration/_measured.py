"""What labelled images cost at some thresholds, and how many answers are right."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from dyncore.calibration._batches import Batches, images_and_labels
from dyncore.cost import CostTable
from dyncore.data import Batch, Preprocessing
from dyncore.network import DialSetting, DynamicNetwork, Output

DIGITS = 4
"""Of rates, which only tell times apart."""


@dataclass
class Sums:
    """What all images gave at one threshold."""

    parts: list[Int[Tensor, "batch"]] = field(default_factory=list)
    """MACs of each image."""
    right: int = 0
    on: Tensor | None = None
    """How many images ran each path."""
    channels: list[float] = field(default_factory=list)
    """Of each block with gated channels: how many of them ran, where the block did."""
    widths: list[float] = field(default_factory=list)
    """How many would have, with all channels on."""

    def add(self, output: Output, labels: Tensor, table: CostTable) -> None:
        """See a batch."""
        self.parts.append(table.macs(output.path).cpu())
        self.right += int((output.logits.argmax(1) == labels).sum())
        on = output.path.on.sum(0).cpu()
        self.on = on if self.on is None else self.on + on
        if output.path.channel_on is None:
            return
        ran, could = [], []
        for decision in output.path:
            block = decision.on.any(1)
            width = 1 if decision.channels is None else decision.channels.on.shape[1]
            could.append(float(width * block.sum()))
            ran.append(
                could[-1]
                if decision.channels is None
                else float((decision.channels.on & block[:, None]).sum())
            )
        self.channels = [a + b for a, b in zip(self.channels or [0.0] * len(ran), ran, strict=True)]
        self.widths = [a + b for a, b in zip(self.widths or [0.0] * len(ran), could, strict=True)]

    @property
    def costs(self) -> Tensor:
        """MACs of all images."""
        return torch.cat(self.parts).double()

    def setting(self, threshold: float) -> DialSetting:
        """The same as a position of the dial."""
        assert self.on is not None
        images = sum(map(len, self.parts))
        pairs = zip(self.channels, self.widths, strict=True)
        return DialSetting(
            threshold=threshold,
            cost=float(self.costs.mean()),
            accuracy=self.right / images,
            rates=tuple(round(float(count) / images, DIGITS) for count in self.on),
            channel_rates=tuple(round(ran / max(could, 1), DIGITS) for ran, could in pairs),
        )


class Measured:
    """Runs a network, in evaluation, with its thresholds moved."""

    def __init__(
        self, model: DynamicNetwork, table: CostTable, preprocessing: Preprocessing
    ) -> None:
        self._model, self._table, self._preprocessing = model, table, preprocessing
        self._device = next(model.parameters()).device

    @torch.no_grad()
    def at(self, thresholds: Sequence[float], batches: Batches) -> dict[float, Sums]:
        """Every one of ``thresholds`` on all images, each batch of which is read once."""
        found = {threshold: Sums() for threshold in thresholds}
        for batch in batches:
            images, labels = self._prepared(batch)
            if not len(images):
                continue
            for threshold, sums in found.items():
                self._model.move_thresholds(threshold)
                sums.add(self._model(images), labels, self._table)
        return found

    @torch.no_grad()
    def ratio(self, batches: Batches, threshold: float, most: int) -> float:
        """Mean MACs of up to ``most`` images of each batch, over the static network's."""
        self._model.move_thresholds(threshold)
        costs = [
            self._table.macs(self._model(self._prepared(batch)[0][:most]).path).double()
            for batch in batches
        ]
        return float(torch.cat(costs).mean()) / self._table.static

    def _prepared(self, batch: Batch | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        images, labels = images_and_labels(batch)
        images = self._preprocessing.normalize(images.to(self._device))
        weight = next(self._model.parameters())
        return images.to(weight.dtype), labels.to(self._device)


@contextmanager
def as_it_was(model: DynamicNetwork) -> Iterator[None]:
    """In evaluation inside; afterwards in the mode, and with the thresholds, of before."""
    training, setting = model.training, model.setting
    model.eval()
    try:
        yield
    finally:
        model.train(training)
        model.move_thresholds(0.0 if setting is None else setting.threshold)
