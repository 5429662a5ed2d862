"""``dyn reproduce``."""

import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dyncore.campaigns import (
    Campaign,
    CampaignStopped,
    State,
    Status,
    Work,
    Workplace,
    duration,
    survey,
)
from dyncore.cli._guard import fail
from dyncore.cli._options import ReproduceOptions


def run(options: ReproduceOptions) -> None:
    """``dyn reproduce CAMPAIGN``: status 1 if a run failed."""
    file = Path(options.campaign)
    campaign = Campaign.load(file)
    place = Workplace(
        file=file,
        campaign=campaign,
        data=options.data,
        output=Path(options.output),
        results=Path(options.results) if options.results else file.with_suffix(""),
        models=options.folders,
    )
    pattern = options.only or "*"
    runs = [found for found in campaign.runs if fnmatchcase(found.name, pattern)]
    if not runs:
        names = ", ".join(campaign.entries)
        raise ValueError(f"--only {pattern!r} fits no run; they are NAME-sSEED of {names}")
    if options.list:
        _show(survey(place, runs), options.jobs)
        return
    try:
        failed = Work(place, jobs=options.jobs, say=_say).do(runs)
    except CampaignStopped as stop:
        print(f"dyn: {stop}", file=sys.stderr)
        sys.exit(128 + stop.signal)
    statuses = survey(place, runs)
    for status in statuses:
        if status.state is not State.DONE and status.run.name not in failed:
            _say(f"{status.run.name} {status.state.value}: {status.note}")
    _say(_summary(statuses, options.jobs))
    if failed:
        fail(f"failed: {', '.join(failed)}", status=1)


def _say(line: str) -> None:
    print(line, flush=True)


def _show(statuses: Sequence[Status], jobs: int) -> None:
    table = Table("run", "", "", "takes", box=None, pad_edge=False)
    for status in statuses:
        seconds = status.left if status.result is None else status.result.seconds
        about = "" if status.result is not None else "about "
        took = "" if seconds is None else f"{about}{duration(seconds)}"
        table.add_row(status.run.name, status.state.value, escape(status.note), took)
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)
    print(_summary(statuses, jobs))


def _summary(statuses: Sequence[Status], jobs: int) -> str:
    """How many are done, and how long the others may take."""
    done = sum(status.state is State.DONE for status in statuses)
    left = [status.left for status in statuses if status.result is None]
    known = [seconds for seconds in left if seconds is not None]
    text = f"{done} of {len(statuses)} done"
    if left and len(known) == len(left):
        text += f"; about {duration(sum(known) / jobs)} to go with {jobs} at once"
    return text
