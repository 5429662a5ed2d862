"""Networks that run only the blocks, paths or channels that an image needs."""

from importlib.metadata import version

import lazy_loader

# What is exported stands in __init__.pyi; a room is imported when one of its names is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = version("dyncore")
