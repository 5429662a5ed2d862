"""The generated parts of ``docs/results.md`` that campaigns of training make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from page_markdown import NOT_MEASURED, read_if_measured, table

from dyncore.campaigns import Campaign, Result, Workplace
from dyncore.recipes import MEANS

CAMPAIGNS = Path(__file__).parent / "campaigns"
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}
"""Student's factor of a 95 % interval, by the number of seeds."""
CASCADES = "cascade-finetuned"
"""What cascades of fine-tuned networks reach."""

Seeds = Mapping[int, Result]
"""The finished runs of an entry."""


@dataclass(frozen=True)
class Measured:
    """A campaign, and what is done of it."""

    campaign: Campaign
    done: Mapping[str, Seeds]
    """Of every entry, in the order of the file."""

    @classmethod
    def load(cls, name: str) -> "Measured":
        """``benchmarks/campaigns/<name>.toml`` and the results beside it."""
        file = CAMPAIGNS / f"{name}.toml"
        campaign = Campaign.load(file)
        place = Workplace(
            file=file,
            campaign=campaign,
            data=None,
            output=Path("runs"),
            results=CAMPAIGNS / name,
            models={},
        )
        done: dict[str, dict[int, Result]] = {key: {} for key in campaign.entries}
        for run in campaign.runs:
            if (result := place.result(run)) is not None:
                done[run.entry.name][run.seed] = result
        return cls(campaign, done)

    @property
    def results(self) -> list[Result]:
        """Of all runs that are done."""
        return [result for seeds in self.done.values() for result in seeds.values()]

    @property
    def head(self) -> str:
        """The command, and how many runs are done."""
        command = f"`dyn reproduce benchmarks/campaigns/{self.campaign.name}.toml`"
        return f"{command}; {len(self.results)} of {len(self.campaign.runs)} runs done"


def routing() -> str:
    """ResNet-32 routed by image at the cost of ResNet-20, beside what it has to beat."""
    return campaign("routing_resnet32")


def means() -> str:
    """What may stand behind a recipe's name, and why."""
    rows = [(f"`+{name}`", "; ".join(c.why for c in changes)) for name, changes in MEANS.items()]
    return table(("means", "why"), rows)


def campaign(name: str) -> str:
    """The finished runs of ``benchmarks/campaigns/<name>.toml``, routed ones beside others."""
    measured = Measured.load(name)
    head = f"{measured.head} ([campaign](../benchmarks/campaigns/{name}.toml))"
    if not measured.results:
        return f"{head}. {NOT_MEASURED}"
    made = f"{head}; {_made(measured.results)}."
    lines = [
        _line(measured.campaign, key, measured.done)
        for key, entry in measured.campaign.entries.items()
        if measured.done[key] and entry.subnet_of is None and entry.rates_of is None
    ]
    columns = (
        "run",
        "n",
        "accuracy",
        "M MACs",
        "static",
        "own subnet",
        "random",
        "shuffled",
        "cascade",
        "paths",
        "minutes",
    )
    return f"{made}\n\n{table(columns, lines)}"


def _made(results: Sequence[Result]) -> str:
    """On what and with what, and from which sources."""
    machines = sorted({f"{r.machine['processor']}, {r.machine['device']}" for r in results})
    versions = sorted({f"torch {r.versions['torch'].partition('+')[0]}" for r in results})
    commits = sorted({(r.commit or "no commit")[:7] for r in results})
    hours = sum(r.seconds for r in results) / 3600
    return f"{'; '.join([*machines, *versions])}; commits {', '.join(commits)}; {hours:.1f} h"


def _line(found: Campaign, key: str, done: Mapping[str, Seeds]) -> tuple[object, ...]:
    seeds = done[key]
    accuracies = [result.metrics["accuracy"] for result in seeds.values()]
    accuracy, macs = fmean(accuracies), fmean(r.metrics["mean_macs"] for r in seeds.values())
    routed = not found.entries[key].recipe.startswith("static-")
    beside = {
        field: next((k for k, e in found.entries.items() if getattr(e, field) == key), None)
        for field in ("subnet_of", "rates_of")
    }
    return (
        f"`{key}`",
        len(seeds),
        f"{accuracy:.4f}{_interval(accuracies)}",
        f"{macs / 1e6:.1f}",
        _points(accuracy, _static_at(found, done, macs)) if routed else "",
        *(_paired(seeds, {} if k is None else done[k]) for k in beside.values()),
        signed(fmean(shuffled_gains(seeds))) if routed else "",
        _points(accuracy, _cascade_at(macs)) if routed else "",
        " … ".join(dict.fromkeys(f"{f(_paths(seeds)):.0f}" for f in (min, max))),
        f"{fmean(result.seconds for result in seeds.values()) / 60:.0f}",
    )


def _paths(seeds: Seeds) -> list[float]:
    return [result.metrics["distinct_paths"] for result in seeds.values()]


def half_interval(values: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the mean; None for one value."""
    return None if len(values) < 2 else T95[len(values)] * stdev(values) / sqrt(len(values))


def _interval(values: Sequence[float]) -> str:
    half = half_interval(values)
    return "" if half is None else f" ± {half:.4f}"


def signed(difference: float) -> str:
    """In points."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def with_interval(differences: Sequence[float]) -> str:
    """Their mean with its 95 % interval, in points; empty for none."""
    if not differences:
        return ""
    half = half_interval(differences)
    return signed(fmean(differences)) + ("" if half is None else f" ± {100 * half:.1f}")


def _points(accuracy: float, other: float | None) -> str:
    return "" if other is None else signed(accuracy - other)


def _paired(seeds: Seeds, others: Seeds) -> str:
    """Mean difference over the seeds that both have."""
    differences = gains(seeds, others)
    return signed(fmean(differences)) if differences else ""


def gains(seeds: Seeds, others: Seeds) -> list[float]:
    """Differences of accuracy, of the seeds that both have."""
    accuracy, other = (
        {seed: result.metrics["accuracy"] for seed, result in results.items()}
        for results in (seeds, others)
    )
    return [accuracy[seed] - other[seed] for seed in sorted(accuracy.keys() & other.keys())]


def shuffled_gains(seeds: Seeds) -> list[float]:
    """What other images' paths change of the accuracy, with each seed."""
    found = (result.metrics for result in seeds.values())
    return [metrics["shuffled_accuracy"] - metrics["accuracy"] for metrics in found]


def _static_at(found: Campaign, done: Mapping[str, Seeds], macs: float) -> float | None:
    """Accuracy of a static network of so many MACs, between those that were trained."""
    points = sorted(
        (
            fmean(result.metrics["mean_macs"] for result in done[key].values()),
            fmean(result.metrics["accuracy"] for result in done[key].values()),
        )
        for key, entry in found.entries.items()
        if entry.recipe.startswith("static-") and entry.subnet_of is None and done[key]
    )
    if not points or macs < 0.95 * points[0][0]:
        return None
    below = [point for point in points if point[0] <= macs] or points[:1]
    above = [point for point in points if point[0] > macs] or below[-1:]
    (low, worse), (high, better) = below[-1], above[0]
    share = (macs - low) / (high - low) if high > low else 0.0
    return worse + max(0.0, share) * (better - worse)


def _cascade_at(macs: float) -> float | None:
    """The best network or cascade of fine-tuned networks that costs no more."""
    report = read_if_measured(CASCADES)
    if report is None:
        return None
    known = [
        row["accuracy"]
        for row in report["rows"]
        if row["kind"] in ("single", "cascade") and row["mean_macs"] <= 1.01 * macs
    ]
    return max(known, default=None)
