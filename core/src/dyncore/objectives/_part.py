"""The interface of what is added up for training."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from dyncore.cost import CostTable
from dyncore.data import Batch
from dyncore.gating import PartConfig
from dyncore.network import DynamicNetwork, Output


class ObjectivePart(nn.Module, ABC):
    """One or more named loss terms; it may own heads, exits or a teacher.

    Its parameters are trained with the model's; its state is in checkpoints, not in saved models.
    """

    @abstractmethod
    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Named scalar terms, already weighted; the loss is their sum."""

    target: float | None = None
    """The rate or ratio that it pulls to now; None: it has no such target."""

    def aim(self, target: float | None) -> None:
        """Let the target be another one; None: its own. Called where budgets are drawn."""

    def open(self, openness: float) -> None:
        """Called before each step: a target t is then ``t + openness (1 - t)``.

        ``openness`` falls from 1 to 0 where a phase is ``opening``; else it is 0.
        """

    def after_step(self, model: DynamicNetwork) -> None:
        """Called after each optimiser step, e.g. to move a teacher."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig(PartConfig):
    """Configuration of an objective part; abstract."""

    @abstractmethod
    def build(self, model: DynamicNetwork, table: CostTable) -> ObjectivePart:
        """The part for a model whose costs at the training size are ``table``."""


class Objective(nn.Module):
    """The sum of a recipe's parts."""

    def __init__(self, parts: Mapping[str, ObjectivePart]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(
        self, batch: Batch, output: Output, active: frozenset[str] | None = None
    ) -> dict[str, Tensor]:
        """The named terms of the ``active`` parts (None: all of them).

        Raises ValueError if two parts give a term of the same name.
        """
        terms: dict[str, Tensor] = {}
        for key, part in self.parts.items():
            if active is not None and key not in active:
                continue
            for name, term in part(batch, output).items():
                if name in terms:
                    raise ValueError(f"two objective parts give a term named {name!r}")
                terms[name] = term
        return terms

    @property
    def target(self) -> float | None:
        """Of the first part that has one."""
        targets = (part.target for part in self.parts.values())
        return next((target for target in targets if target is not None), None)  # type: ignore[return-value]

    def aim(self, target: float | None) -> None:
        """See :meth:`ObjectivePart.aim`."""
        for part in self.parts.values():
            part.aim(target)  # type: ignore[operator]

    def open(self, openness: float) -> None:
        """See :meth:`ObjectivePart.open`."""
        for part in self.parts.values():
            part.open(openness)  # type: ignore[operator]

    def after_step(self, model: DynamicNetwork) -> None:
        for part in self.parts.values():
            part.after_step(model)  # type: ignore[operator]
