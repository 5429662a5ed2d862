"""The share of images that go on, watched in production."""

import math
import warnings
from collections import deque
from collections.abc import Sequence
from typing import final

from torch import Tensor

from dyncore.network import Output

DEVIATIONS = 4.0
"""Standard deviations from the calibrated share that no chance explains: one window in 16,000."""


@final
class Monitor:
    """Compares the share of images that reach each member with the calibrated one.

    Over every ``window`` images the share p of those that went on is compared with the calibrated
    share q, which itself comes from n images: z = (p - q) / √(q (1 - q) (1 / window + 1 / n)). A
    |z| above 4 is a warning: the images are no longer what the thresholds were set on.
    """

    def __init__(self, asked: Sequence[float], images: int, window: int) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 image, not {window}")
        self.calibrated = tuple(asked)
        """Share of the images that each member was asked about in calibration."""
        self.window = window
        self._images = images
        self._recent: deque[tuple[int, Tensor]] = deque()
        self._since_check = 0

    def record(self, output: Output) -> None:
        """Add a batch; warns, once per window, where the shares have drifted."""
        images = len(output.logits)
        if not images:
            return
        self._recent.append((images, output.path.on.sum(0)))
        self._since_check += images
        while sum(n for n, _ in self._recent) - self._recent[0][0] >= self.window:
            self._recent.popleft()
        if self._since_check >= self.window:
            self._since_check = 0
            self._check()

    @property
    def asked(self) -> tuple[float, ...]:
        """Share of the last ``window`` images that each member was asked about; () before any."""
        if not self._recent:
            return ()
        images = sum(n for n, _ in self._recent)
        counts = sum((counts for _, counts in self._recent), start=0 * self._recent[0][1])
        return tuple(count / images for count in counts.tolist())

    def deviations(self) -> tuple[float, ...]:
        """Z of each member but the first; () before any image."""
        images = sum(n for n, _ in self._recent)
        return tuple(
            (now - then) / _spread(then, images, self._images)
            for now, then in zip(self.asked[1:], self.calibrated[1:], strict=False)
        )

    def _check(self) -> None:
        drifted = [
            f"{self.asked[index]:.1%} went on to member {index}, {self.calibrated[index]:.1%} in "
            f"calibration ({z:+.1f} standard deviations)"
            for index, z in enumerate(self.deviations(), 1)
            if abs(z) > DEVIATIONS
        ]
        if drifted:
            warnings.warn(
                f"of the last {self.window} images {'; '.join(drifted)}: the images have changed; "
                "look at them, and calibrate again",
                stacklevel=3,
            )

    def __str__(self) -> str:
        rows = zip(self.asked, self.calibrated, strict=False)
        return "\n".join(
            f"member {index}: asked about {now:.1%} of the last images, {then:.1%} in calibration"
            for index, (now, then) in enumerate(rows)
        )


def _spread(share: float, images: int, calibrated: int) -> float:
    """Standard deviation of the difference of two observed shares.

    A share of 0 or 1 is taken for half an image more or less: chance can move that, too.
    """
    least = 0.5 / calibrated
    share = min(max(share, least), 1 - least)
    return math.sqrt(share * (1 - share) * (1 / images + 1 / calibrated))
