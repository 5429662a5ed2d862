"""Members and cascades on the clock, for ``benchmarks/cascade.py``.

Every subject runs through its batches in each round, after a pause, as threads of the one before
may still be spinning, and a run that does not count.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

import dyncore
from dyncore.cascade import Member
from dyncore.network import DynamicNetwork

ROUNDS = 15
"""Of timing; in each one every network and cascade takes its turn."""
ROUNDS_EACH = 9
"""The same for efficiencies, of which there are many."""
PAUSE = 0.01
"""Seconds."""

Subject = tuple[Callable[[Tensor], object], Sequence[Tensor]]
"""What runs, and the batches that it runs on."""
Key = TypeVar("Key", bound=Hashable)


def in_rounds(subjects: Mapping[Key, Subject], rounds: int) -> dict[Key, np.ndarray]:
    """Seconds of every subject: [rounds, batches]. A first round warms up."""
    times: dict[Key, list[list[float]]] = {key: [] for key in subjects}
    for _ in range(rounds + 1):
        for key, (run, batches) in subjects.items():
            time.sleep(PAUSE)
            run(batches[0])
            times[key].append([_seconds(run, images) for images in batches])
    return {key: np.array(taken[1:]) for key, taken in times.items()}


def humps(times: np.ndarray) -> dict[str, float]:
    """Percentiles over batches of ms per image, each the median over rounds."""
    each = np.median(times, axis=0)
    return {f"ms_p{p}": float(np.quantile(each, p / 100)) for p in (50, 99)}


def engines_alone(members: Mapping[int, Member], batches: Sequence[Tensor]) -> dict[int, Subject]:
    """The static engine of each network, on images that are normalised already."""
    subjects: dict[int, Subject] = {}
    for number, member in members.items():
        assert isinstance(member.run, DynamicNetwork)
        prepared = [member.prepare(images) for images in batches]
        subjects[number] = dyncore.Engine(member.run, prepared[0]), prepared
    return subjects


def openvino_members(members: Mapping[int, Member], batch: int) -> dict[int, Member]:
    """The members in OpenVINO, which normalises, too."""
    return {
        number: replace(member, run=_openvino(member, batch), preprocessing=None)
        for number, member in members.items()
    }


class _Logits(nn.Module):
    """Images in [0, 1] → logits."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        assert isinstance(member.run, DynamicNetwork)
        assert member.preprocessing is not None
        self.network = member.run
        self.register_buffer("mean", torch.tensor(member.preprocessing.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(member.preprocessing.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std).logits  # type: ignore[no-any-return]


def _openvino(member: Member, batch: int) -> Callable[[Tensor], Tensor]:
    """A member's network in OpenVINO on the CPU at its default precision, made for latency."""
    import openvino as ov

    model = ov.convert_model(_Logits(member).eval(), example_input=torch.zeros(2, 3, 32, 32))
    model.reshape([1 if batch == 1 else -1, 3, 32, 32])
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = ov.Core().compile_model(model, "CPU", settings)
    return lambda images: torch.from_numpy(compiled(images.numpy())[0])


def _seconds(run: Callable[[Tensor], object], images: Tensor) -> float:
    start = time.perf_counter()
    run(images)
    return time.perf_counter() - start
