"""C++ that is compiled on the machine that runs it."""

from dyncore.native._build import SCALARS, load
from dyncore.native._layout import check_layout

__all__ = ["SCALARS", "check_layout", "load"]
