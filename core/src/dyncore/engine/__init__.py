"""The engine: runs only what each image chooses, and is faster for it."""

from dyncore.engine._comparison import Comparison
from dyncore.engine._engine import Engine
from dyncore.engine._precision import Precision

__all__ = ["Comparison", "Engine", "Precision"]
