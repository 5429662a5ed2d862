"""A recipe: a named, typed, complete training set-up."""

from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal, TypeAlias, get_args

import tyro

from dyncore.data import CropFlip, RandomResizedCropFlip
from dyncore.files import check_folder_name
from dyncore.network import DynamicConfig
from dyncore.objectives import ObjectiveConfig
from dyncore.recipes._optimizer import SGD, TorchOptimizer
from dyncore.recipes._schedule import Annealing, Constant, Schedule

Paths: TypeAlias = Literal["routed", "uniform"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a recipe's settings are printed."""

    paper: str
    """Short name of the paper, e.g. RDI-Net; 'ours' for a set-up no paper has."""
    place: str
    """Table and row, figure and point, or section."""
    borrowed: str = ""
    """What the paper does not print, and where it was taken from; see :class:`Print`."""
    setup: str = "paper"
    """Whose settings these are: the paper's, or those of the variant that the name ends in."""
    changes: tuple[str, ...] = ()
    """What we set otherwise than the paper, each with its reason; see :class:`Change`."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training: what trains, how paths are chosen, its schedule."""

    name: str
    """Shown in the progress bar and in the metrics."""
    epochs: float
    """Length in epochs."""
    paths: Paths = "routed"
    """Decided by the gates, or drawn on/off with probability 1/2 per image and block (USW)."""
    objective: tuple[str, ...] | None = None
    """Keys of the recipe's objective parts that count; None: all. Parts left out do not train."""
    schedule: Schedule = field(default_factory=Constant)
    """Learning rate over the phase."""
    annealing: Annealing | None = None
    """Temperature of the gates over the phase; None: as configured."""
    rates: tuple[float, ...] = ()
    """Of uniform paths: with which probability each path of each block is on; empty: 1/2. Then
    evaluation draws, too: routing at random."""
    opening: float = 0.0
    """Share of the phase over which the objective's targets fall from 1 to their own."""
    budgets: tuple[float, ...] = ()
    """Least and greatest target, between which each step's is drawn, and for which the gates'
    thresholds move; empty: the objective's own target in every step."""

    def __post_init__(self) -> None:
        if not 0 < self.epochs < inf:
            raise ValueError(f"phase {self.name!r}: epochs must be positive, not {self.epochs}")
        if self.paths not in get_args(Paths):
            raise ValueError(
                f"phase {self.name!r}: paths must be one of {get_args(Paths)}, not {self.paths!r}"
            )
        if self.rates and (self.paths == "routed" or not all(0 <= r <= 1 for r in self.rates)):
            raise ValueError(f"phase {self.name!r}: rates must be in 0 … 1, with paths 'uniform'")
        if not 0 <= self.opening <= 1:
            raise ValueError(f"phase {self.name!r}: opening must be in 0 … 1, not {self.opening}")
        low, high = self.budgets or (0.5, 1.0)
        if self.budgets and (self.paths != "routed" or not 0 < low < high <= 1):
            raise ValueError(
                f"phase {self.name!r}: budgets must be two growing numbers in 0 … 1, with paths "
                f"'routed', not {self.budgets}"
            )
        if self.objective is not None and not self.objective:
            raise ValueError(f"phase {self.name!r}: objective must name at least one part")

    def temperature(self, progress: float) -> float:
        """What multiplies the gates' temperature at ``progress`` (0 … 1) of the phase."""
        return 1.0 if self.annealing is None else self.annealing.factor(progress)

    def noise(self, progress: float) -> float:
        """What multiplies the gates' noise at ``progress``."""
        return 1.0 if self.annealing is None else self.annealing.noise(progress)

    def openness(self, progress: float) -> float:
        """How far targets are still open at ``progress``: 1 at the start, 0 as they are."""
        return max(0.0, 1 - progress / self.opening) if self.opening else 0.0

    def scaled(self, share: float) -> "Phase":
        return replace(self, epochs=self.epochs * share, schedule=self.schedule.scaled(share))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a training run needs but the place of its data and of its results."""

    name: tyro.conf.Suppress[str]
    """``<method>-<backbone>[-nN]-<dataset>[-bBUDGET][-VARIANT][-SETUP]``."""
    source: tyro.conf.Suppress[Source]
    """Where its settings come from."""
    model: tyro.conf.Suppress[str]
    """Name of the model, for ``dyncore.create_model``."""
    network: DynamicConfig
    """The network; the number of classes follows the data set."""
    dataset: tyro.conf.Suppress[str]
    """Hub id, folder, or ``digits``; ``--data`` replaces it."""
    objective: dict[str, ObjectiveConfig]
    """The objective's parts by a short key of the recipe's own."""
    phases: tuple[Phase, ...]
    """In order; the optimiser starts afresh with each."""
    batch_size: int = 256
    """Images per step, over all processes."""
    optimizer: SGD | TorchOptimizer = field(default_factory=SGD)
    """The optimiser; ``--optimizer 'AdamW(lr=3e-4)'`` takes another one of torch's."""
    start: tyro.conf.Suppress[str | None] = None
    """The trained model, by its name, whose folder ``--init`` must give; None: it need not."""
    augmentation: CropFlip | RandomResizedCropFlip | None = None
    """What training images go through; None: nothing."""
    detached_routers: bool = False
    """Routers teach only themselves: blocks get no gradient through what routers look at."""
    recalibrated: int = 0
    """Training batches over which the norms' statistics are measured anew at the end, on hard
    paths; 0: they stay those of training."""

    def __post_init__(self) -> None:
        check_folder_name("recipe name", self.name)
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.recalibrated < 0:
            raise ValueError(f"recalibrated must not be negative, not {self.recalibrated}")
        if not self.objective:
            raise ValueError("objective must have at least one part")
        if not self.phases:
            raise ValueError("phases must name at least one phase")
        for phase in self.phases:
            if unknown := set(phase.objective or ()) - set(self.objective):
                raise ValueError(
                    f"phase {phase.name!r} names objective parts {sorted(unknown)}, but the "
                    f"recipe has {sorted(self.objective)}"
                )

    @property
    def epochs(self) -> float:
        return sum(phase.epochs for phase in self.phases)

    def with_epochs(self, epochs: float) -> "Recipe":
        """The same recipe with phases and milestones scaled to ``epochs`` in all."""
        if not 0 < epochs < inf:
            raise ValueError(f"epochs must be positive, not {epochs}")
        share = epochs / self.epochs
        return replace(self, phases=tuple(phase.scaled(share) for phase in self.phases))
