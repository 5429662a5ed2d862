"""The plan in C++ that is compiled on the machine that runs it (``cpp/``)."""

from dyncore.engine.native._backend import NativeBackend
from dyncore.engine.native._library import BFLOAT16, library, multiplies_bfloat16
from dyncore.engine.native._supported import can_round, supported
from dyncore.engine.native._team import Team

__all__ = [
    "BFLOAT16",
    "NativeBackend",
    "Team",
    "can_round",
    "library",
    "multiplies_bfloat16",
    "supported",
]
