"""Several networks asked in order: the images that one is unsure of go on to the next."""

from dyncore.adopt import Library
from dyncore.cascade._asked import Said, in_turn
from dyncore.cascade._calibration import Aim, Calibration, Setting, Unit, calibration, shown, wilson
from dyncore.cascade._cascade import Cascade
from dyncore.cascade._clock import milliseconds
from dyncore.cascade._confidence import Answer, Confidence
from dyncore.cascade._cost import cascade_cost_table, members_table
from dyncore.cascade._front import Front, front
from dyncore.cascade._kept import Kept, keys_of, predict_kept, users_cache
from dyncore.cascade._library import library_member
from dyncore.cascade._member import Member
from dyncore.cascade._monitor import Monitor
from dyncore.cascade._onnx import onnx_member
from dyncore.cascade._outcomes import Outcomes, Rule, outcomes
from dyncore.cascade._policy import Policy
from dyncore.cascade._predictions import Answers, Predictions, predict
from dyncore.cascade._pretrained import from_pretrained
from dyncore.cascade._search import Found, Step, best_of, front_of, search
from dyncore.cascade._temperature import fit_temperature

__all__ = [
    "Aim",
    "Answer",
    "Answers",
    "Calibration",
    "Cascade",
    "Confidence",
    "Found",
    "Front",
    "Kept",
    "Library",
    "Member",
    "Monitor",
    "Outcomes",
    "Policy",
    "Predictions",
    "Rule",
    "Said",
    "Setting",
    "Step",
    "Unit",
    "best_of",
    "calibration",
    "cascade_cost_table",
    "fit_temperature",
    "from_pretrained",
    "front",
    "front_of",
    "in_turn",
    "keys_of",
    "library_member",
    "members_table",
    "milliseconds",
    "onnx_member",
    "outcomes",
    "predict",
    "predict_kept",
    "search",
    "shown",
    "users_cache",
    "wilson",
]
