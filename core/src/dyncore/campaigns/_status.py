"""What is done of a campaign, what is open, and how long that may take."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from statistics import fmean

from dyncore.campaigns._campaign import Run
from dyncore.campaigns._result import Result
from dyncore.campaigns._settings import changes
from dyncore.campaigns._sitting import is_claimed
from dyncore.campaigns._workplace import Workplace


class State(Enum):
    """How far a run is."""

    DONE = "done"
    CHANGED = "changed"
    """Done, but with other settings than the campaign has now."""
    RUNNING = "running"
    OPEN = "open"
    WAITING = "waiting"
    """For another run."""
    ELSEWHERE = "not here"
    """What it starts from is on another machine, or was not given."""


@dataclass(frozen=True)
class Status:
    """A run's state."""

    run: Run
    state: State
    note: str = ""
    """For people."""
    result: Result | None = None
    left: float | None = None
    """Seconds of one process that it may still take; None: nothing is known, or left."""


def survey(place: Workplace, runs: Sequence[Run]) -> list[Status]:
    """The status of each of ``runs``.

    Raises ValueError for a recipe or option that there is none, and for a file that is no result.
    """
    campaign = place.campaign
    results = {run.name: place.result(run) for run in campaign.runs}
    speeds = _speeds(result for result in results.values() if result is not None)
    return [_status(place, run, results, speeds) for run in runs]


def _status(
    place: Workplace,
    run: Run,
    results: Mapping[str, Result | None],
    speeds: Mapping[str, float],
) -> Status:
    settings = place.settings(run)
    if (result := results[run.name]) is not None:
        changed = "" if settings is None else "; ".join(changes(settings, result.settings))
        if changed:
            file = place.result_file(run)
            return Status(run, State.CHANGED, f"{changed}: delete {file} to run it again", result)
        return Status(run, State.DONE, _outcome(result), result)
    waits = [donor.name for donor in place.campaign.needs(run) if results[donor.name] is None]
    if settings is None:
        return Status(run, State.WAITING, f"for {', '.join(waits)}")
    epochs = settings.recipe.epochs
    epoch = _epoch(place.folder(run) / run.entry.recipe / "metrics.jsonl")
    speed = speeds.get(run.entry.recipe) or (fmean(speeds.values()) if speeds else None)
    left = None if speed is None else speed * max(0.0, epochs - epoch)
    progress = f"epoch {epoch:.2f} of {epochs:g}" if epoch else f"{epochs:g} epochs"
    if is_claimed(place.folder(run)):
        return Status(run, State.RUNNING, progress, left=left)
    if waits:
        return Status(run, State.WAITING, f"for {', '.join(waits)}", left=left)
    if (missing := place.missing(run)) is not None:
        return Status(run, State.ELSEWHERE, missing, left=left)
    return Status(run, State.OPEN, progress, left=left)


def _outcome(result: Result) -> str:
    found = result.metrics
    text = f"accuracy {found['accuracy']:.4f}, MACs ratio {found['macs_ratio']:.3f}"
    if found["distinct_paths"] > 1 and "shuffled_accuracy" in found:
        text += f", shuffled {found['shuffled_accuracy']:.4f}, {found['distinct_paths']:.0f} paths"
    return text


def _speeds(results: Iterable[Result]) -> dict[str, float]:
    """Seconds per epoch of each recipe."""
    found: dict[str, list[float]] = {}
    for result in results:
        epochs = sum(phase["epochs"] for phase in result.settings["recipe"]["phases"])
        found.setdefault(result.recipe_name, []).append(result.seconds / epochs)
    return {recipe: fmean(speeds) for recipe, speeds in found.items()}


def _epoch(metrics: Path) -> float:
    """How far a run that has not ended is."""
    epoch = 0.0
    with suppress(OSError, ValueError, KeyError, IndexError):  # none, or half a row at the end
        epoch = json.loads(metrics.read_text(encoding="utf-8").splitlines()[-1])["epoch"]
    return epoch
