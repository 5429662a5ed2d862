"""ConvNet-AIG: a small gate of its own before every block (Veit and Belongie, ECCV 2018)."""

from dyn_convnet_aig.method import METHOD
from dyn_convnet_aig.router import BottleneckRouter, BottleneckRouterConfig

__all__ = ["METHOD", "BottleneckRouter", "BottleneckRouterConfig"]
