"""Which step belongs to which phase."""

from collections.abc import Iterator
from dataclasses import dataclass

from dyncore.data import mix_seed
from dyncore.recipes import Phase, Recipe


@dataclass(frozen=True)
class PlannedPhase:
    """A phase and the steps of the run that it covers."""

    index: int
    phase: Phase
    first: int
    """Its first step, counted over the whole run."""
    last: int
    """One past its last step."""
    steps_per_epoch: int

    def learning_rate_factor(self, step: int) -> float:
        """What multiplies the base learning rate at ``step`` of the run."""
        return self.phase.schedule.factor(
            (step - self.first) / self.steps_per_epoch, self.phase.epochs
        )

    def temperature_factor(self, step: int) -> float:
        """What multiplies the gates' temperature at ``step`` of the run."""
        return self.phase.temperature(self._progress(step))

    def noise_factor(self, step: int) -> float:
        """What multiplies the gates' noise at ``step`` of the run."""
        return self.phase.noise(self._progress(step))

    def openness(self, step: int) -> float:
        """How far targets are still open at ``step`` of the run: 1 at the start, 0 as they are."""
        return self.phase.openness(self._progress(step))

    def budget(self, step: int, seed: int) -> float | None:
        """The target of ``step`` of the run, the same in all processes; None: the objective's."""
        if not self.phase.budgets:
            return None
        low, high = self.phase.budgets
        return low + (high - low) * mix_seed("budget", seed, step) / 2**64

    def _progress(self, step: int) -> float:
        return (step - self.first) / (self.last - self.first)

    def epochs_from(self, step: int) -> Iterator[tuple[int, int, int]]:
        """(epoch, first step within it, number of steps) of what is left of the phase."""
        while step < self.last:
            epoch, within = divmod(step, self.steps_per_epoch)
            count = min(self.steps_per_epoch - within, self.last - step)
            yield epoch, within, count
            step += count


def plan_phases(recipe: Recipe, steps_per_epoch: int) -> tuple[PlannedPhase, ...]:
    """The phases one after the other, each at least one step long."""
    planned, first = [], 0
    for index, phase in enumerate(recipe.phases):
        last = first + max(1, round(phase.epochs * steps_per_epoch))
        planned.append(PlannedPhase(index, phase, first, last, steps_per_epoch))
        first = last
    return tuple(planned)
