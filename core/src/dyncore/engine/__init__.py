"""The engine: runs only what each image chooses, and is faster for it."""

from dyncore.engine._agreement import Agreement
from dyncore.engine._engine import Engine

__all__ = ["Agreement", "Engine"]
