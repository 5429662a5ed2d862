"""The plain backbone: nothing is gated."""

from dyncore.backbones import BACKBONES
from dyncore.registry import Method

METHOD = Method(name="static", one_path=True, backbones=tuple(BACKBONES))
