"""The plan in C++ that is compiled on the machine that runs it (``cpp/``)."""

from dyncore.engine.native._backend import NativeBackend
from dyncore.engine.native._library import library
from dyncore.engine.native._supported import supported

__all__ = ["NativeBackend", "library", "supported"]
