"""The papers' ablations beside ours: whether each switch has the sign that is printed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

from page_campaign import Measured, Seeds, gains, signed
from page_markdown import table
from paper_rows import Paper, Row, read

NAME = "ablations_cifar10"
TABLES = Path(__file__).parent / "paper_tables"
PLACES = (("rdinet", "Table 2"), ("rdinet", "Table 3"), ("spnet", "Table 3"), ("dmnn", "Table 4"))
"""Paper and table; the first row of each that is a recipe is what its others are compared with."""
STANDS_FOR = {
    "rdinet-resnet110-cifar10-b0.58-rr-gamma0": "rdinet-none",
    "dmnn-resnet50-n2-imagenet-b0.7-no-prev-no-cat": "dmnn-none",
    "dmnn-resnet50-n2-imagenet-b0.7-no-cat": "dmnn-prev",
    "dmnn-resnet50-n2-imagenet-b0.7-no-prev": "dmnn-cat",
    "dmnn-resnet50-n2-imagenet-b0.7-prev-cat": "dmnn-prev-cat",
}
"""Runs of rows whose recipe they do not have: the same network, or another data set's."""
UNPRINTED = {"LC-Net": ("lcnet-l-only", "lcnet-c-only", "lcnet-both")}
"""Runs that no table has; the first is what the others are compared with."""


def ablations() -> str:
    """Points of accuracy over the first row, printed and ours, row by row."""
    measured = Measured.load(NAME)
    head, done = f"{measured.head}.", measured.done
    if not measured.results:
        return f"{head} No run has ended yet."
    by_recipe = {entry.recipe: key for key, entry in measured.campaign.entries.items()}
    lines = [line for place in PLACES for line in _printed(*place, by_recipe, done)]
    lines += [line for paper, runs in UNPRINTED.items() for line in _alone(paper, runs, done)]
    columns = ("paper", "row", "printed", "points", "ours", "points", "MACs ratio", "n", "sign")
    return f"{head}\n\n{table(columns, lines)}"


def _printed(
    name: str, place: str, by_recipe: Mapping[str, str], done: Mapping[str, Seeds]
) -> Iterator[tuple[object, ...]]:
    paper = read(TABLES / f"{name}.toml", Paper)
    rows = next(t.rows for t in paper.tables if t.name == place and t.dataset != "cifar100")
    known = {
        STANDS_FOR.get(row.recipe, by_recipe.get(row.recipe, "")): row for row in rows if row.recipe
    }
    first = next(iter(known))
    for key, row in known.items():
        points = _accuracy(row) - _accuracy(known[first])
        mean, own, *rest = _ours(key, first, done)
        agrees = "" if own is None or key == first else _sign(points, 100 * own)
        yield (
            f"{paper.paper}, {place}",
            row.label,
            f"{_accuracy(row):.2f}",
            "" if key == first else signed(points / 100),
            mean,
            "" if own is None or key == first else signed(own),
            *rest,
            agrees,
        )


def _alone(
    paper: str, runs: tuple[str, ...], done: Mapping[str, Seeds]
) -> Iterator[tuple[object, ...]]:
    for key in runs:
        mean, own, *rest = _ours(key, runs[0], done)
        points = "" if own is None or key == runs[0] else signed(own)
        yield (paper, key.partition("-")[2], "", "", mean, points, *rest, "")


def _ours(key: str, first: str, done: Mapping[str, Seeds]) -> tuple[str, float | None, str, object]:
    """Accuracy in percent, what it is above the first row's, the MACs ratio, and seeds."""
    seeds = done.get(key, {})
    if not seeds:
        return "", None, "", ""
    metrics = [result.metrics for result in seeds.values()]
    above = gains(seeds, done.get(first, {}))
    return (
        f"{100 * fmean(m['accuracy'] for m in metrics):.2f}",
        fmean(above) if above else None,
        f"{fmean(m['macs_ratio'] for m in metrics):.3f}",
        len(seeds),
    )


def _accuracy(row: Row) -> float:
    """In percent."""
    return row.accuracy if row.accuracy is not None else 100 - (row.error or 0.0)


def _sign(printed: float, ours: float) -> str:
    return "as printed" if (printed > 0) == (ours > 0) else "**other**"
