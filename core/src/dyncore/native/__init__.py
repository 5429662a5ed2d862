"""C++ that is compiled on the machine that runs it."""

from dyncore.native._build import SCALARS, load

__all__ = ["SCALARS", "load"]
