"""Whether what papers print trains: the print, each of our changes alone, and all of them."""

from collections.abc import Mapping
from statistics import fmean, stdev

from page_campaign import Measured, Seeds, gains, shuffled_gains, signed, with_interval
from page_markdown import table

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


def as_printed() -> str:
    """A table per campaign: mean over the seeds that are done, and their standard deviation."""
    return "\n\n".join(_part(name, title) for name, title in TITLES.items())


def _part(name: str, title: str) -> str:
    done = {key: seeds for key, seeds in Measured.load(name).done.items() if seeds}
    command = f"`dyn reproduce benchmarks/campaigns/{name}.toml`"
    if not done:
        return f"**{title}** ({command}): no run has ended yet."
    rows = [_row(run, done) for run in done]
    return (
        f"**{title}** ({command}); mean ± standard deviation over seeds. *Points over the print*: "
        "of accuracy, over the seeds that both have, with the 95 % interval; *shuffled*: what "
        f"other images' paths cost, in points.\n\n{table(HEAD, rows)}"
    )


def _row(run: str, done: Mapping[str, Seeds]) -> list[object]:
    seeds = done[run]
    metrics = [result.metrics for result in seeds.values()]
    accuracy, *others = (_spread([m[column] for m in metrics], column) for column in COLUMNS)
    print_of = next(
        (key for key in done if key.endswith(PRINTED) and run.startswith(key[: -len(PRINTED)])),
        run,
    )
    return [
        f"`{run}`",
        len(seeds),
        accuracy,
        "" if print_of == run else with_interval(gains(seeds, done[print_of])),
        signed(fmean(shuffled_gains(seeds))) if metrics[0]["distinct_paths"] > 1 else "",
        *others,
    ]


def _spread(values: list[float], column: str) -> str:
    digits = {"accuracy": 4, "distinct_paths": 0}.get(column, 3)
    mean = f"{fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):.{digits}f}"
