"""Calibration images that a member was trained on."""

import warnings
from collections.abc import Sequence

from torch import Tensor

from dyncore.cascade._member import Member
from dyncore.data import Recognition

MAX_KNOWN = 0.1
"""Share of the calibration images that a member may have been trained on."""


class Seen:
    """Looks for calibration images that a member knows."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = [
            (member.name, Recognition(member.training_images))
            for member in members
            if member.training_images is not None
        ]

    def look(self, images: Tensor) -> None:
        """See a batch of images in [0, 1]."""
        for _, recognition in self._members:
            recognition.see(images)

    def refuse(self) -> None:
        """Raise ValueError if a member was trained on these images; warn if on few of them.

        A network is surer of images it was trained on, so thresholds from them let too few go on.
        """
        for name, recognition in self._members:
            if not recognition.known:
                continue
            problem = (
                f"{name} was trained on about {recognition.share:.0%} of the calibration images, "
                "where it is surer than on others: thresholds from them let too few images go on"
            )
            if recognition.share > MAX_KNOWN:
                raise ValueError(f"{problem}; calibrate on images that no member was trained on")
            warnings.warn(problem, stacklevel=3)
