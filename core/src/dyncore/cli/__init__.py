"""The ``dyn`` command and the methods' ``train.py``."""

from dyncore.cli._main import main, train_main

__all__ = ["main", "train_main"]
