"""One process of a small run that kills itself: executed by ``test_kill.py`` with these globals.

OUTPUT is the folder of runs, KILL what to die at and the how-manieth time, or None; RANK, PROCESSES
and PORT place this process among others; IMAGES is a data set in place of digits, or None.
"""

import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

os.environ["ACCELERATE_USE_CPU"] = "true"
if PROCESSES > 1:
    os.environ |= {
        "RANK": str(RANK),
        "LOCAL_RANK": str(RANK),
        "WORLD_SIZE": str(PROCESSES),
        "LOCAL_WORLD_SIZE": str(PROCESSES),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(PORT),
        "OMP_NUM_THREADS": "1",
    }
torch.set_num_threads(1)
multiprocessing.set_start_method("fork", force=True)  # of the loader's workers

from dyncore.backbones import ResNetConfig  # noqa: E402
from dyncore.data import RandomResizedCropFlip  # noqa: E402
from dyncore.gating import ShortRangeRouterConfig  # noqa: E402
from dyncore.methods.static.recipes import RECIPES as STATIC  # noqa: E402
from dyncore.methods.vanilla.recipes import RECIPES as VANILLA  # noqa: E402
from dyncore.recipes import SGD, Annealing, Cosine, Phase, Recipe  # noqa: E402
from dyncore.training import RunOptions, _checkpoint, _log, _trainer, _update, train  # noqa: E402

seen: Counter[str] = Counter()


def reach(what: str) -> None:
    """Die here, if this is where to."""
    seen[what] += 1
    if (what, seen[what]) == KILL:
        os.kill(os.getpid(), signal.SIGKILL)


def around(before: str | None, call: Callable[..., Any], after: str | None) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        if before:
            reach(before)
        result = call(*arguments, **options)
        if after:
            reach(after)
        return result

    return watched


def save_by_halves(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Like ``save_file``, with a moment at which half of the file is there."""
    save_file(tensors, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    reach("half a file of tensors")
    file.write_bytes(whole)


def write_by_halves(log: _log.MetricsLog, step: int, values: dict[str, Any]) -> None:
    """Like ``MetricsLog.write``, with a moment at which half of a row is there."""
    write(log, step, values)
    if RANK > 0:
        return
    whole = log._file.read_bytes()
    log._file.write_bytes(whole[:-9])
    reach("half a row of metrics")
    log._file.write_bytes(whole)


save_file, write = _checkpoint.save_file, _log.MetricsLog.write
_trainer.DISPLAY_EVERY = 1
_update.Updater.step = around("before an update", _update.Updater.step, "after an update")
_checkpoint.save_file = save_by_halves
_log.MetricsLog.write = write_by_halves
_checkpoint.write_checksums = around("before the checksums", _checkpoint.write_checksums, None)
os.replace = around("before a file gets its name", os.replace, "after a file got its name")
shutil.rmtree = around("before something old is deleted", shutil.rmtree, None)


def recipe() -> Recipe:
    """On digits: 12 steps, five to the epoch, the first three a warm-up."""
    backbone = ResNetConfig(
        block="basic", depths=(1, 1), widths=(4, 8), stem="cifar", shortcut="pad"
    )
    if IMAGES is not None:
        static = STATIC["static-resnet20-digits"]
        return replace(
            static,
            network=replace(static.network, backbone=replace(backbone, stem="imagenet")),
            batch_size=4,
            phases=(Phase(name="train", epochs=3.0),),
            augmentation=RandomResizedCropFlip(),
        )
    vanilla = VANILLA["vanilla-resnet20-digits-b0.5"]
    router = ShortRangeRouterConfig(dim=8)
    return replace(
        vanilla,
        network=replace(vanilla.network, backbone=backbone, router=router),
        batch_size=240,
        phases=(
            Phase(name="warm-up", epochs=0.6, paths="uniform", objective=("classification",)),
            Phase(name="train", epochs=1.8, schedule=Cosine(), annealing=Annealing()),
        ),
        optimizer=SGD(learning_rate=0.05),
    )


train(
    recipe(),
    RunOptions(
        output=OUTPUT,
        data=IMAGES,
        resume="auto",
        workers=2,
        checkpoint_every=2,
        keep_checkpoints=2,
    ),
)
