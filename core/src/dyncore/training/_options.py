"""What changes from run to run of one recipe."""

from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["no", "bf16"]
Resume: TypeAlias = Literal["never", "auto"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run reads and writes, and how it computes."""

    data: str | None = None
    """Data set in place of the recipe's: a Hub id, ``digits``, or a folder: of parquet files, of
    train/CLASS/ and val/CLASS/ with images, or of CLASS/ alone, every fifth image of which is held
    out."""
    skip_corrupt: bool = False
    """Read every image once before training and leave out, with a warning, what cannot be read;
    otherwise the first such image stops the run."""
    size: int | None = None
    """Height and width that images are brought to; default: what most of a set of small images
    are, else 224."""
    output: str = "runs"
    """Folder in which the run's own folder is made."""
    name: str | None = None
    """Of the run and its folder; None: what is trained, in the grammar of recipes' names."""
    epochs: float | None = None
    """Length in epochs; phases and milestones are scaled in proportion."""
    init: str | None = None
    """Weights that the backbone starts from, e.g. a static network's: ``timm:NAME`` or
    ``torchvision:NAME``, a ``.pth`` or ``.safetensors`` file with names of any usual prefix, or a
    model folder, also on the Hub. Some recipes need a trained model, and say so."""
    resume: Resume = "never"
    """'auto' goes on from the newest whole checkpoint of the run's folder, or begins a run."""
    seed: int = 0
    """Of everything random: weights, order, augmentation, gate noise, warm-up paths."""
    precision: Precision = "no"
    """Automatic mixed precision: none, or bfloat16."""
    accumulate: int = 1
    """Micro-batches per step, for a batch that does not fit into memory at once: their mean
    gradient is that of the whole batch, and the schedule does not notice. Statistics of a batch
    (norms, rates, MACs, rankings) are then those of a micro-batch over all processes."""
    sync_batch_norm: bool = False
    """Several GPUs: norms use the statistics of the batch of all processes, not of each one."""
    channels_last: bool = False
    """Keep images and weights in channels-last memory format."""
    compile: bool = False
    """Compile the network with torch.compile."""
    kernels: bool = True
    """Train blocks in fused forms: the same up to rounding, in less time and memory. Off: by
    torch's operators one after the other, which objectives with second derivatives need."""
    workers: int = 4
    """Processes that decode images; sets of small images need none."""
    evaluate_every: int = 1
    """Epochs between evaluations, each with a checkpoint; the end has both in any case."""
    checkpoint_every: int = 1000
    """Steps between further checkpoints, in case an epoch is long."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints stay."""
    trackers: tuple[str, ...] = ()
    """Experiment trackers of accelerate that also get the metrics: tensorboard, wandb, trackio and
    others; these three also get a picture of the decisions at every evaluation."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision must be one of {get_args(Precision)}, not {self.precision!r}"
            )
        if self.resume not in get_args(Resume):
            raise ValueError(f"resume must be one of {get_args(Resume)}, not {self.resume!r}")
        for name in ("accumulate", "evaluate_every", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be at least 1 pixel, not {self.size}")
        if self.workers < 0:
            raise ValueError(f"workers must not be negative, not {self.workers}")
        if self.epochs is not None and not 0 < self.epochs < inf:
            raise ValueError(f"epochs must be positive, not {self.epochs}")
