"""The engine: runs only what each image chooses, and is faster for it."""

from dyncore.engine._comparison import Comparison
from dyncore.engine._engine import Engine

__all__ = ["Comparison", "Engine"]
