"""What held-out images say of a trained network: what its gates' thresholds cost."""

from dyncore.calibration._batches import Batches, check_labels, images_and_labels
from dyncore.calibration._calibrate import calibrate
from dyncore.calibration._curve import Point, curve
from dyncore.calibration._seen import Seen, Trained

__all__ = [
    "Batches",
    "Point",
    "Seen",
    "Trained",
    "calibrate",
    "check_labels",
    "curve",
    "images_and_labels",
]
