"""What changes from run to run of one recipe."""

from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["no", "bf16"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run reads and writes, and how it computes."""

    data: str | None = None
    """Data set in place of the recipe's: a Hub id, a folder of parquet files or of images by
    class folder, or ``digits``."""
    output: str = "runs"
    """Folder in which the run's own folder, named after the recipe, is made."""
    epochs: float | None = None
    """Length in epochs; phases and milestones are scaled in proportion."""
    init: str | None = None
    """Folder of a saved model, e.g. a static one, whose backbone's weights are the start."""
    resume: bool = False
    """Go on from the newest checkpoint of the run's folder."""
    seed: int = 0
    """Of everything random: weights, order, augmentation, gate noise, warm-up paths."""
    precision: Precision = "no"
    """Automatic mixed precision: none, or bfloat16."""
    channels_last: bool = False
    """Keep images and weights in channels-last memory format."""
    compile: bool = False
    """Compile the network with torch.compile."""
    workers: int = 4
    """Processes that decode images; sets of small images need none."""
    evaluate_every: int = 1
    """Epochs between evaluations, each with a checkpoint; the end has both in any case."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints stay."""
    trackers: tuple[str, ...] = ()
    """Experiment trackers of accelerate that also get the metrics, e.g. tensorboard, wandb."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision must be one of {get_args(Precision)}, not {self.precision!r}"
            )
        for name in ("evaluate_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.workers < 0:
            raise ValueError(f"workers must not be negative, not {self.workers}")
        if self.epochs is not None and not 0 < self.epochs < inf:
            raise ValueError(f"epochs must be positive, not {self.epochs}")
