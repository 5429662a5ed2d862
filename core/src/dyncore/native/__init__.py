"""C++ that is compiled on the machine that runs it."""

from dyncore.native._build import SCALARS, load
from dyncore.native._maps import readable

__all__ = ["SCALARS", "load", "readable"]
