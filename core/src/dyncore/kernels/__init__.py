"""Fused forms of a training step's blocks, put in the place of what ``blocks`` states plainly."""

from dyncore.kernels._install import install_kernels

__all__ = ["install_kernels"]
