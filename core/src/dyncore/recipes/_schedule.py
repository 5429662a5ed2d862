"""Learning rates, temperatures and noise as functions of progress."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, inf, pi


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
class Annealing:
    """Gates' temperature over a phase, which falls geometrically, then stays; and their noise.

    High temperatures train all paths as a smooth average, whatever the gates' noise; low ones
    train what hard decisions will run. Noise explores. Once it is gone, the paths that train are
    those that evaluation runs, and decisions need no margin that outweighs it.
    """

    start: float = 8.0
    """What multiplies the gates' temperature at the start of the phase."""
    end: float = 0.3
    """What multiplies it at the end."""
    until: float = 0.6
    """Share of the phase after which the end is reached."""
    fade: float | None = None
    """Share of the phase after which noise fades, to be gone at ``until``; None: it stays."""

    def __post_init__(self) -> None:
        for name in ("start", "end", "until"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.fade is not None and not 0 <= self.fade < self.until:
            raise ValueError(
                f"fade must be at least 0 and below until = {self.until}, not {self.fade}"
            )

    def factor(self, progress: float) -> float:
        """What multiplies the temperature at ``progress`` (0 … 1) of the phase."""
        return self.start * (self.end / self.start) ** min(1.0, progress / self.until)

    def noise(self, progress: float) -> float:
        """What multiplies the noise at ``progress`` (0 … 1) of the phase."""
        if self.fade is None:
            return 1.0
        return min(1.0, max(0.0, (self.until - progress) / (self.until - self.fade)))


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
