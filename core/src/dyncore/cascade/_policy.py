"""All that a cascade knows beside its members."""

from dataclasses import dataclass

from dyncore.cascade._calibration import Calibration, Setting
from dyncore.cascade._confidence import Answer, Confidence


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When an image goes on, who is heard, and what that rests on."""

    confidence: Confidence
    """How sure an answer is."""
    answer: Answer
    """Whether all members asked are heard, or the last one."""
    cap: float
    """Share of the images of a batch that may go on."""
    temperatures: tuple[float, ...]
    """By which each member's logits are divided."""
    thresholds: tuple[float, ...]
    """Below which confidence an image goes on from each member but the last."""
    setting: Setting | None
    """What the thresholds gave in calibration; None: they were set by hand, or not yet."""
    calibration: Calibration | None
    """None: there was none."""

    def check(self, members: int) -> None:
        """Raise ValueError for numbers that do not fit so many members."""
        if len(self.temperatures) != members or min(self.temperatures) <= 0:
            raise ValueError(
                f"{members} members need as many temperatures above 0, not {self.temperatures}"
            )
        if len(self.thresholds) != members - 1:
            raise ValueError(
                f"{members} members need {members - 1} thresholds, not {len(self.thresholds)}"
            )
        found = self.calibration
        known = [self.setting, *([] if found is None else [found.chosen, *found.dial])]
        for setting in known:
            if setting is not None and (len(setting.asked), len(setting.thresholds)) != (
                members,
                members - 1,
            ):
                raise ValueError(f"the calibration is not one of {members} members")
