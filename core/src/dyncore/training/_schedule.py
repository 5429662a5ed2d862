"""Learning-rate schedules as functions of progress."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A learning rate that depends on nothing but the step: nothing to save, nothing to drift."""

    @abstractmethod
    def factor(self, epoch: float, epochs: float) -> float:
        """What multiplies the base rate ``epoch`` epochs, or a fraction, into one of ``epochs``."""

    def scaled(self, share: float) -> "Schedule":
        """The same schedule for a phase whose length is multiplied by ``share``."""
        return self


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The base rate throughout."""

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from the base rate to 0."""

    def factor(self, epoch: float, epochs: float) -> float:
        return 0.5 * (1 + cos(pi * min(1.0, epoch / epochs)))


@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    """A multiplication at each milestone."""

    milestones: tuple[float, ...]
    """Epochs of the phase at which the rate falls, ascending."""
    gamma: float = 0.1
    """What it is multiplied by."""

    def __post_init__(self) -> None:
        ascending = list(self.milestones) == sorted(set(self.milestones))
        if not self.milestones or not ascending or self.milestones[0] <= 0:
            raise ValueError(f"milestones must be positive and ascending, not {self.milestones}")
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must be between 0 and 1, not {self.gamma}")

    def factor(self, epoch: float, epochs: float) -> float:
        return self.gamma ** sum(epoch >= milestone for milestone in self.milestones)

    def scaled(self, share: float) -> "Steps":
        milestones = tuple(milestone * share for milestone in self.milestones)
        return Steps(milestones=milestones, gamma=self.gamma)
