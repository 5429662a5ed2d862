"""Networks that teach the one that trains: another one, or itself with every block on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks import Norm
from dyncore.cost import CostTable
from dyncore.data import Batch
from dyncore.network import DynamicNetwork, Output, from_pretrained
from dyncore.objectives._checks import check_temperature, check_weight
from dyncore.objectives._part import ObjectiveConfig, ObjectivePart


def distillation(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: float,
) -> Float[Tensor, ""]:
    """``T² KL(softmax(teacher / T) ‖ softmax(student / T))``, mean over the batch.

    Hinton et al. 2015, section 2. The teacher gets no gradient. In float32 at least.
    """
    precise = torch.promote_types(student.dtype, torch.float32)
    known = (teacher.detach().to(precise) / temperature).log_softmax(1)
    said = (student.to(precise) / temperature).log_softmax(1)
    divergence = F.kl_div(said, known, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


class Teacher(ObjectivePart):
    """See :class:`TeacherConfig`."""

    def __init__(self, network: DynamicNetwork, config: "TeacherConfig") -> None:
        super().__init__()
        self.config = config
        self.preprocessing = network.info.preprocessing
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Teacher":
        """The teacher stays in evaluation."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The term ``teacher``. It sees the batch's images as it was trained on them."""
        seen = output.images
        if self.preprocessing is not None:
            seen = self.preprocessing.normalize(batch.images)
        assert seen is not None
        with torch.no_grad():
            known = self.network(seen).logits
        loss = distillation(output.logits, known, self.config.temperature)
        return {"teacher": self.config.weight * loss}


@dataclass(frozen=True, kw_only=True)
class TeacherConfig(ObjectiveConfig):
    """Learn from a trained network (Hinton et al. 2015, section 2)."""

    name: ClassVar[str] = "teacher"
    model: str = ""
    """Folder of its saved model, or ``org/name`` on the Hub."""
    weight: float = 1.0
    """Weight of the term; that of the labels is 1."""
    temperature: float = 4.0
    """T, by which the logits of both are divided."""

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        check_temperature(self.temperature)

    def build(self, model: DynamicNetwork, table: CostTable) -> Teacher:
        """Raises ValueError for no teacher, and for one of other classes."""
        if not self.model:
            raise ValueError("the teacher's model is missing: set objective.teacher.model")
        network = from_pretrained(self.model)
        known, wanted = network.info.classes, model.info.classes
        if network.config.num_classes != model.config.num_classes or (
            known is not None and wanted is not None and known != wanted
        ):
            raise ValueError(
                f"teacher {self.model} has other classes than the data: it has "
                f"{network.config.num_classes}, {model.config.num_classes} are needed, in the "
                "same order"
            )
        return Teacher(network, self)


class FullPath(ObjectivePart):
    """See :class:`FullPathConfig`."""

    def __init__(self, model: DynamicNetwork, config: "FullPathConfig") -> None:
        super().__init__()
        self.config = config
        self._model = (model,)  # in a tuple: the model is nobody's part

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The terms ``full`` and ``taught``."""
        (model,) = self._model
        assert output.images is not None
        with _statistics_kept(model.backbone):
            logits = model(output.images, path=output.path.all_on).logits
        taught = distillation(output.logits, logits, self.config.temperature)
        return {
            "full": self.config.cross_entropy * F.cross_entropy(logits, batch.labels),
            "taught": self.config.distillation * taught,
        }


@dataclass(frozen=True, kw_only=True)
class FullPathConfig(ObjectiveConfig):
    """In every step the network with all paths on learns the labels, and teaches the chosen ones.

    One set of weights then serves the longest path and the others (Yu and Huang, "Universally
    Slimmable Networks", 2019, section 3: the sandwich rule and inplace distillation). A step costs
    a second pass. Running statistics of norms are those of the chosen paths.
    """

    name: ClassVar[str] = "full-path"
    cross_entropy: float = 1.0
    """Weight of the full network's cross-entropy."""
    distillation: float = 1.0
    """Weight of the chosen paths' distance from it."""
    temperature: float = 1.0
    """T, by which the logits of both are divided."""

    def __post_init__(self) -> None:
        check_weight("cross_entropy", self.cross_entropy)
        check_weight("distillation", self.distillation)
        check_temperature(self.temperature)

    def build(self, model: DynamicNetwork, table: CostTable) -> FullPath:
        """Raises ValueError for a network without gates, which is its full path."""
        if not model.gates:
            raise ValueError("the full path teaches others: the network needs gates")
        return FullPath(model, self)


@contextmanager
def _statistics_kept(backbone: nn.Module) -> Iterator[None]:
    """Within it norms leave their running statistics as they are."""
    norms: Sequence[Norm] = [m for m in backbone.modules() if isinstance(m, Norm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
