"""Smaller networks inside of one learn from the labels and from the whole."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.data import Batch
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives._checks import check_temperature, check_weight
from dyncore.objectives._part import ObjectiveConfig, ObjectivePart
from dyncore.objectives._teaching import distillation


class Nested(ObjectivePart):
    """See :class:`NestedConfig`."""

    def __init__(self, config: "NestedConfig") -> None:
        super().__init__()
        self.config = config

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The terms ``nested`` and ``distilled``; ValueError for an output of evaluation."""
        if not output.nested:
            raise ValueError("the nested loss needs a network in training: call model.train()")
        config = self.config
        errors, distances = [], []
        for logits in output.nested:
            errors.append(F.cross_entropy(logits, batch.labels))
            distances.append(distillation(logits, output.logits, config.temperature))
        return {
            "nested": config.cross_entropy * torch.stack(errors).sum(),
            "distilled": config.distillation * torch.stack(distances).sum(),
        }


@dataclass(frozen=True, kw_only=True)
class NestedConfig(ObjectiveConfig):
    """Cross-entropy of every smaller network inside, and what it has to learn from the whole.

    That is ``T² KL(softmax(whole / T) ‖ softmax(small / T))``, mean over the batch, without a
    gradient to the whole (Hinton et al. 2015, section 2; between subnets of one network: Yu and
    Huang, "Universally Slimmable Networks", 2019, section 3.3, inplace distillation).
    """

    name: ClassVar[str] = "nested"
    cross_entropy: float = 0.5
    """Weight of each one's cross-entropy."""
    distillation: float = 0.5
    """Weight of each one's distance from the whole network."""
    temperature: float = 4.0
    """T, by which the logits of both are divided."""

    def __post_init__(self) -> None:
        check_weight("cross_entropy", self.cross_entropy)
        check_weight("distillation", self.distillation)
        check_temperature(self.temperature)

    def build(self, model: DynamicNetwork, table: CostTable) -> Nested:
        """Raises ValueError for a network without smaller ones inside."""
        if not model.config.nested:
            raise ValueError("the nested loss needs a network with subnets: set network.nested")
        return Nested(self)
