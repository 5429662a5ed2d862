"""How often an image's execution path is another than at the evaluation before."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from dyncore.training._evaluation import Evaluation


class PathChanges:
    """Compares evaluations of one run, in the order in which they come.

    What it remembers, ``paths`` (image, byte), is bits: a checkpoint holds it, so that a resumed
    run compares with what it had found. Decisions on channels are left out: among thousands some
    always change.
    """

    def __init__(self, paths: UInt8[Tensor, "image byte"] | None = None) -> None:
        self.paths = paths

    def see(self, evaluation: Evaluation) -> dict[str, float]:
        """``changed_paths``, a share of the images in 0 … 1; empty for the first evaluation."""
        before = self.paths
        self.paths = torch.from_numpy(np.packbits(evaluation.path, axis=1))
        if before is None or before.shape != self.paths.shape:
            return {}
        return {"changed_paths": float((before != self.paths).any(1).double().mean())}
