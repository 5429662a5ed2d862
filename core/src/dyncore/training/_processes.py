"""What several processes need to train as one."""

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import nn

from dyncore.recipes import Recipe
from dyncore.training._options import RunOptions
from dyncore.training._step import TrainingStep


def check_processes(accelerator: Accelerator, recipe: Recipe, options: RunOptions) -> None:
    """Raise ValueError for a batch without equal shares, and for norms that cannot be shared."""
    processes, parts = accelerator.num_processes, options.accumulate
    if parts > 1 and recipe.batch_size % (processes * parts):
        raise ValueError(
            f"accumulate={parts}: the batch of {recipe.batch_size} cannot be divided into {parts} "
            f"equal micro-batches in each of {processes} processes"
        )
    if options.sync_batch_norm and accelerator.device.type != "cuda":
        raise ValueError(
            f"sync_batch_norm needs GPUs, but this process trains on {accelerator.device}: "
            "PyTorch synchronises norms on CUDA only"
        )


def check_norms(
    module: nn.Module, accelerator: Accelerator, recipe: Recipe, options: RunOptions
) -> None:
    """Raise ValueError where a norm over vectors, as routers have, would see one image alone."""
    processes, parts = accelerator.num_processes, options.accumulate
    images = recipe.batch_size // (parts if options.sync_batch_norm else processes * parts)
    if images < 2 and any(isinstance(norm, nn.BatchNorm1d) for norm in module.modules()):
        raise ValueError(
            f"batch norm needs two images at once, but of a batch of {recipe.batch_size} "
            f"--accumulate {parts} leaves each of {processes} processes {images}: lower "
            "--accumulate, or raise --batch-size"
        )


def synchronise_norms(module: TrainingStep) -> None:
    """Let every norm, teachers' included, use the statistics of the batch of all processes."""
    nn.SyncBatchNorm.convert_sync_batchnorm(module)


@torch.no_grad()
def share_buffers(module: nn.Module, accelerator: Accelerator) -> None:
    """Give every process the running statistics of the first, which are the ones that are saved."""
    if accelerator.num_processes > 1:
        for buffer in module.buffers():
            broadcast(buffer)
