"""What a training loop of one's own calls. Needs ``dyncore[train]`` when it is called."""

from dyncore.loop._loop import evaluate, objective

__all__ = ["evaluate", "objective"]
