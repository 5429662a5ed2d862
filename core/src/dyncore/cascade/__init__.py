"""Several networks asked in order: the images that one is unsure of go on to the next."""

from dyncore.cascade._calibration import Calibration, Setting
from dyncore.cascade._cascade import Cascade
from dyncore.cascade._confidence import Answer, Confidence
from dyncore.cascade._cost import cascade_cost_table
from dyncore.cascade._member import Library, Member
from dyncore.cascade._monitor import Monitor

__all__ = [
    "Answer",
    "Calibration",
    "Cascade",
    "Confidence",
    "Library",
    "Member",
    "Monitor",
    "Setting",
    "cascade_cost_table",
]
