"""What must stop a run: a loss that is not finite, or a signal; in all processes at one step."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from signal import Signals

import torch
import torch.distributed as dist
from torch import Tensor

from dyncore.training._step import StepResult

LAG = 4
"""Steps after which a GPU's loss is looked at: the host then waits for nothing that is new."""
_ROWS = 8


@dataclass(frozen=True)
class Position:
    """Where in the run a batch stands."""

    step: int
    """Counted over the whole run, from 0."""
    epoch: int
    """From 0."""
    batch: int
    """Within the epoch, from 0."""
    rows: Tensor
    """The rows of the train split that are in this process's share of the batch."""


class DivergedError(ArithmeticError):
    """The loss or the network is infinite or not a number."""


def _describe(position: Position, values: dict[str, float]) -> str:
    """``values`` are this process's loss and its parts."""
    rows = position.rows.tolist()
    shown = ", ".join(map(str, rows[:_ROWS])) + (", ..." if len(rows) > _ROWS else "")
    parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
    ours = not all(map(math.isfinite, values.values()))
    whose = "the loss" if ours else "the loss of another process"
    return (
        f"{whose} is not finite in step {position.step + 1}: batch {position.batch} of epoch "
        f"{position.epoch} (both from 0), here {len(rows)} rows of the train split ({shown}): "
        f"{parts}"
    )


def check_state(state: Mapping[str, Tensor]) -> None:
    """Raise DivergedError for weights or statistics that must not be saved."""
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    finite = torch.stack([tensor.isfinite().all() for tensor in floats.values()]).tolist()
    if bad := [name for name, good in zip(floats, finite, strict=True) if not good]:
        raise DivergedError(
            f"{len(bad)} of {len(floats)} tensors are not finite after this step, "
            f"first {bad[0]!r}, though the loss was"
        )


@dataclass(frozen=True)
class _Seen:
    position: Position
    values: dict[str, Tensor]
    verdict: Tensor
    """On the CPU: (whether a loss is not finite, number of a signal), the largest of all
    processes."""
    wait: Callable[[], None]
    """Returns when ``verdict`` has arrived."""


class StepGuard:
    """Looks at every step's loss, and asks whether a signal came.

    On a CPU it answers at once, before the step changes a parameter. A GPU's host would have to
    wait for that at every step; instead each verdict is copied while the GPU goes on, and is read
    ``LAG`` steps later, or in :meth:`settle`, before anything is saved. All processes read the
    same verdict at the same step, so that none is left waiting for the others.
    """

    def __init__(self, device: torch.device, processes: int) -> None:
        self._device = device
        self._processes = processes
        self._lag = LAG if device.type == "cuda" else 0
        self._pending: deque[_Seen] = deque()

    def see(self, position: Position, result: StepResult, stop: Signals | None) -> Signals | None:
        """Note a step; a signal to stop after it, if a process got one.

        Raises DivergedError, on a GPU for a step of up to ``LAG`` ago.
        """
        bad = (~torch.isfinite(result.loss.detach())).float()
        verdict = torch.stack([bad, torch.full_like(bad, 0 if stop is None else stop)])
        if self._processes > 1:
            dist.all_reduce(verdict, dist.ReduceOp.MAX)
        values = {"loss": result.loss.detach(), **result.terms}
        self._pending.append(_Seen(position, values, *self._fetch(verdict)))
        return self._read() if len(self._pending) > self._lag else None

    def settle(self) -> None:
        """Read all verdicts that are left. Raises DivergedError; signals wait."""
        while self._pending:
            self._read()

    def _fetch(self, verdict: Tensor) -> tuple[Tensor, Callable[[], None]]:
        if self._device.type != "cuda":
            return verdict.cpu(), lambda: None
        arrived = torch.empty(verdict.shape, dtype=verdict.dtype, pin_memory=True)
        arrived.copy_(verdict, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return arrived, event.synchronize

    def _read(self) -> Signals | None:
        seen = self._pending.popleft()
        seen.wait()
        bad, stop = seen.verdict.tolist()
        if bad:
            values = {name: float(value) for name, value in seen.values.items()}
            raise DivergedError(_describe(seen.position, values))
        return Signals(int(stop)) if stop else None
