"""Scripts in processes of their own, forked from a server that has imported what is slow."""

import multiprocessing
import runpy
import socket
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = (
    "accelerate",
    "dyncore.cli._training",
    "dyncore.methods.static.recipes",
    "dyncore.methods.vanilla.recipes",
    "dyncore.training",
    "dyncore.training._trainer",
    "sklearn.datasets",
    "torch._dynamo",  # imported by the first step of an optimiser
    "torchvision.transforms.v2",
    "tyro",
)
"""None of them starts a thread."""


def start(script: Path, settings: Sequence[Mapping[str, object]]) -> list[BaseProcess]:
    """Execute ``script`` once with each of ``settings`` as its globals, all at the same time.

    Each also gets its RANK, the number of PROCESSES, and the PORT where they can meet.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    meeting = {"PROCESSES": len(settings), "PORT": _free_port()}
    processes = []
    for rank, own in enumerate(settings):
        given = {**own, **meeting, "RANK": rank}
        process = context.Process(target=runpy.run_path, args=(str(script), given))
        process.start()
        processes.append(process)
    return processes


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
