"""What each of the means to train routing does alone, and every method with those that are kept."""

from collections.abc import Mapping
from statistics import fmean

from page_campaign import Measured, Seeds, gains, shuffled_gains, signed, with_interval
from page_markdown import table

NAME = "means_digits"
BASE = "vanilla"
"""The run that each of the means is added to, or taken from."""


def means_alone() -> str:
    """A line per run: over what it is added to, and over its own frozen subnet."""
    measured = Measured.load(NAME)
    head = f"{measured.head}."
    if not measured.results:
        return f"{head} No run has ended yet."
    entries, done = measured.campaign.entries, measured.done
    subnets = {entry.subnet_of: key for key, entry in entries.items() if entry.subnet_of}
    beside = subnets.values()
    lines = [_line(key, done, subnets) for key in entries if done[key] and key not in beside]
    columns = (
        "run",
        "n",
        "accuracy",
        f"over `{BASE}`",
        "over its own subnet",
        "shuffled",
        "MACs ratio",
        "paths",
    )
    return f"{head}\n\n{table(columns, lines)}"


def _line(key: str, done: Mapping[str, Seeds], subnets: Mapping[str, str]) -> tuple[object, ...]:
    seeds = done[key]
    metrics = [result.metrics for result in seeds.values()]
    shuffled = metrics[0]["distinct_paths"] > 1 and "shuffled_accuracy" in metrics[0]
    added = key.startswith(f"{BASE}-")
    subnet = done.get(subnets.get(key, ""), {})
    return (
        f"`{key}`",
        len(seeds),
        f"{fmean(m['accuracy'] for m in metrics):.4f}",
        with_interval(gains(seeds, done[BASE])) if added else "",
        with_interval(gains(seeds, subnet)),
        signed(fmean(shuffled_gains(seeds))) if shuffled else "",
        f"{fmean(m['macs_ratio'] for m in metrics):.3f}",
        f"{fmean(m['distinct_paths'] for m in metrics):.0f}",
    )
