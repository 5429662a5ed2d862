"""The engine: runs only what each image chooses, and is faster for it."""

from dyncore.engine._agreement import Agreement
from dyncore.engine._engine import Engine
from dyncore.engine._profile import Profile, read_profile

__all__ = ["Agreement", "Engine", "Profile", "read_profile"]
