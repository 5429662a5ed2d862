"""Whether what papers print trains: the print, each of our changes alone, and all of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from page_markdown import table

CAMPAIGNS = Path(__file__).parent / "campaigns"
TITLES = {
    "as_printed_digits": "Digits, 30 epochs",
    "as_printed_cifar10": "CIFAR-10, ResNet-20, 8 epochs",
}
COLUMNS = ("accuracy", "macs_ratio", "execution_rate", "distinct_paths")
HEAD = ("run", "seeds", "accuracy", "MACs ratio", "execution rate", "paths")


def as_printed() -> str:
    """A table per campaign: mean over the seeds that are done, and their standard deviation."""
    return "\n\n".join(_part(name, title) for name, title in TITLES.items())


def _part(campaign: str, title: str) -> str:
    command = f"`dyn reproduce benchmarks/campaigns/{campaign}.toml`"
    rows = list(_rows(campaign))
    if not rows:
        return f"**{title}** ({command}): no run has ended yet."
    return f"**{title}** ({command}); mean ± standard deviation over seeds:\n\n{table(HEAD, rows)}"


def _rows(campaign: str) -> Iterator[list[object]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((CAMPAIGNS / campaign).glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        found.setdefault(result["run"], []).append(result["metrics"])
    order = [line[6:-1] for line in _lines(campaign) if line.startswith("[runs.")]
    for run in sorted(found, key=order.index):
        metrics = found[run]
        cells = [_spread([m[column] for m in metrics], column) for column in COLUMNS]
        yield [f"`{run}`", len(metrics), *cells]


def _lines(campaign: str) -> list[str]:
    return (CAMPAIGNS / f"{campaign}.toml").read_text(encoding="utf-8").splitlines()


def _spread(values: list[float], column: str) -> str:
    digits = {"accuracy": 4, "distinct_paths": 0}.get(column, 3)
    mean = f"{fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):.{digits}f}"
