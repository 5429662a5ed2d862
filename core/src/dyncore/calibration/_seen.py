"""Calibration images that a network was trained on."""

import warnings
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from dyncore.data import Recognition

MAX_KNOWN = 0.1
"""Share of the calibration images that a network may have been trained on."""


@runtime_checkable
class Trained(Protocol):
    """A network, or a member of a cascade."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def training_images(self) -> str | None:
        """Hashes of some of the images it was trained on, see ``ModelInfo``."""


class Seen:
    """Looks for calibration images that a network knows."""

    def __init__(self, networks: Sequence[Trained]) -> None:
        self._networks = [
            (network.name, Recognition(network.training_images))
            for network in networks
            if network.training_images is not None
        ]

    def look(self, images: Tensor) -> None:
        """See a batch of images in [0, 1]."""
        for _, recognition in self._networks:
            recognition.see(images)

    def refuse(self) -> None:
        """Raise ValueError if a network was trained on these images; warn if on few of them.

        A network is surer of images it was trained on: thresholds from them do not hold on others.
        """
        for name, recognition in self._networks:
            if not recognition.known:
                continue
            problem = (
                f"{name} was trained on about {recognition.share:.0%} of the calibration images, "
                "where it is surer than on others: thresholds from them do not hold on others"
            )
            if recognition.share > MAX_KNOWN:
                raise ValueError(f"{problem}; calibrate on images that it was not trained on")
            warnings.warn(problem, stacklevel=3)
