"""Whether what papers print trains: the print, each of our changes alone, and all of them."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev

from page_campaign import half_interval, signed
from page_markdown import table

from dyncore.campaigns import Campaign, Result

CAMPAIGNS = Path(__file__).parent / "campaigns"
TITLES = {
    "as_printed_digits": "Digits, 30 epochs",
    "as_printed_cifar10": "CIFAR-10, ResNet-20, 8 epochs",
}
COLUMNS = ("accuracy", "macs_ratio", "execution_rate", "distinct_paths")
HEAD = (
    "run",
    "seeds",
    "accuracy",
    "points over the print",
    "shuffled",
    "MACs ratio",
    "execution rate",
    "paths",
)
PRINTED = "-printed"
"""How the run of a method's print is called, behind the method."""

Seeds = Mapping[int, Mapping[str, float]]
"""Metrics of the finished runs of an entry."""


def as_printed() -> str:
    """A table per campaign: mean over the seeds that are done, and their standard deviation."""
    return "\n\n".join(_part(name, title) for name, title in TITLES.items())


def _part(campaign: str, title: str) -> str:
    command = f"`dyn reproduce benchmarks/campaigns/{campaign}.toml`"
    found = _found(campaign)
    if not found:
        return f"**{title}** ({command}): no run has ended yet."
    rows = [_row(run, found) for run in found]
    return (
        f"**{title}** ({command}); mean ± standard deviation over seeds. *Points over the print*: "
        "of accuracy, over the seeds that both have, with the 95 % interval; *shuffled*: what "
        f"other images' paths cost, in points.\n\n{table(HEAD, rows)}"
    )


def _found(campaign: str) -> dict[str, Seeds]:
    """By the name of the run, in the campaign's order."""
    entries = Campaign.load(CAMPAIGNS / f"{campaign}.toml").entries
    found: dict[str, dict[int, Mapping[str, float]]] = {key: {} for key in entries}
    for file in (CAMPAIGNS / campaign).glob("*.json"):
        result = Result.load(file)
        found[result.run][result.seed] = result.metrics
    return {key: dict(sorted(seeds.items())) for key, seeds in found.items() if seeds}


def _row(run: str, found: Mapping[str, Seeds]) -> list[object]:
    metrics = list(found[run].values())
    accuracy, *others = (_spread([m[column] for m in metrics], column) for column in COLUMNS)
    shuffled = [m["shuffled_accuracy"] - m["accuracy"] for m in metrics]
    print_of = next(
        (key for key in found if key.endswith(PRINTED) and run.startswith(key[: -len(PRINTED)])),
        run,
    )
    return [
        f"`{run}`",
        len(metrics),
        accuracy,
        "" if print_of == run else points_between(found[run], found[print_of]),
        signed(fmean(shuffled)) if metrics[0]["distinct_paths"] > 1 else "",
        *others,
    ]


def points_between(seeds: Seeds, others: Seeds) -> str:
    """Mean difference of accuracy over the seeds that both have, with its 95 % interval."""
    shared = seeds.keys() & others.keys()
    if not shared:
        return ""
    differences = [seeds[seed]["accuracy"] - others[seed]["accuracy"] for seed in shared]
    half = half_interval(differences)
    return signed(fmean(differences)) + ("" if half is None else f" ± {100 * half:.1f}")


def _spread(values: list[float], column: str) -> str:
    digits = {"accuracy": 4, "distinct_paths": 0}.get(column, 3)
    mean = f"{fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):.{digits}f}"
