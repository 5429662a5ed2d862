"""The papers' printed rows beside our models: parameters and costs.

``python benchmarks/fidelity.py [--json PATH]`` reads ``benchmarks/paper_tables/`` and prints every
row. The exit status is 1 if a row's parameters are further from the printed ones than its
tolerance, or a static backbone's MACs are not those of ``backbones.toml``.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import tyro
from paper_rows import Backbone, Backbones, Paper, PrintedTable, Row, read
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dyncore import CostTable, DynamicConfig, DynamicNetwork, cost_table
from dyncore.objectives import ExecutionRateConfig
from dyncore.recipes import BENCHMARKS, find_recipe
from dyncore.registry import model_config

TABLES = Path(__file__).parent / "paper_tables"
PAPERS = ("cdb", "dmnn", "rdinet", "spnet", "lcnet")
SIDES = {"cifar10": 32, "cifar100": 32, "imagenet": 224}
"""Height and width of a data set's images."""
BACKBONE, DYNAMIC = 0.005, 0.02
"""Tolerances, as shares of what is printed."""
COST_DIGIT, GMACS_DIGIT = 0.005, 0.00005
"""Half a unit of the last decimal of printed costs and of ``backbones.toml``."""
NAME = "recipe or model"

LEGEND = f"""\
params: millions. Costs: 10⁹ in the paper's unit, into which our MACs are converted.
all on: every path on, routers included. rate: the printed target; * it is not printed, and our
recipe's stands there (RDI-Net's follows from the printed cost, so it fits by construction).
at rate: what always runs + rate × all that is gated. asks: the rate at which ours costs what is
printed. LC-Net prints no target, and its cost depends on layers and channels together: no rate.
Judged (ok or MISS): parameters, within {BACKBONE:.1%} for backbones (static models) and
{DYNAMIC:.0%} for dynamic models; MACs of our backbones. Not judged: costs, which depend on trained
decisions or on details of the authors' backbones; parameters that another paper counted.
why: the reason of a gap, given below the table; ? where a gap beyond the tolerance (for a cost: and
beyond its last digit) has none."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare our models with what the papers print."""

    json: Path | None = None
    """Write every row to this file, too."""

    def __post_init__(self) -> None:
        if self.json is not None and not self.json.parent.is_dir():
            raise FileNotFoundError(f"json: there is no folder {self.json.parent}")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A row beside ours: parameters in millions, costs in 10⁹ of the paper's unit."""

    table: str
    dataset: str
    unit: str
    printed: Row
    params: float
    all_on: float
    rate: float | None
    at_rate: float | None
    asks: float | None

    @property
    def tolerance(self) -> float:
        """Of parameters, and of a cost that needs no reason."""
        return BACKBONE if self.printed.recipe is None else DYNAMIC

    @property
    def params_gap(self) -> float | None:
        """Share by which ours has more."""
        return None if self.printed.params is None else self.params / self.printed.params - 1

    @property
    def cost_gap(self) -> float | None:
        """Share by which ours costs more: a backbone, or a dynamic model at its rate."""
        ours = self.all_on if self.printed.recipe is None else self.at_rate
        if ours is None or self.printed.cost is None:
            return None
        return ours / self.printed.cost - 1

    @property
    def verdict(self) -> str:
        """Of the parameters: ok, MISS, or nothing."""
        if self.params_gap is None or not self.printed.judged:
            return ""
        return "MISS" if abs(self.params_gap) > self.tolerance else "ok"

    @property
    def why(self) -> str:
        """Keys of the reasons; ``?`` if there are none but a gap that needs one."""
        beyond = self.verdict == "MISS"
        if self.cost_gap is not None and self.printed.cost is not None:
            allowed = max(self.tolerance, COST_DIGIT / self.printed.cost)
            beyond = beyond or abs(self.cost_gap) > allowed
        return " ".join(self.printed.reasons) or "?" * beyond

    def as_json(self) -> dict[str, Any]:
        """All fields and gaps."""
        names = ("params_gap", "cost_gap", "verdict", "why")
        return asdict(self) | {name: getattr(self, name) for name in names}


def static(model: str, dataset: str) -> DynamicConfig:
    """The network of a backbone, with the data set's number of classes."""
    return model_config(model, num_classes=BENCHMARKS[dataset].num_classes)


@cache
def measure(config: DynamicConfig, side: int) -> tuple[int, CostTable]:
    """Parameters and cost table of a network, which is not allocated."""
    with torch.device("meta"):
        network = DynamicNetwork(config)
    params = sum(parameter.numel() for parameter in network.parameters())
    return params, cost_table(network, (3, side, side))


def compare(paper: Paper, table: PrintedTable, row: Row) -> Comparison:
    """Measure our network of a row. Raises ValueError for unknown names."""
    rate = row.target
    if row.recipe is None:
        assert row.model is not None
        config = static(row.model, table.dataset)
    else:
        recipe = find_recipe(row.recipe)
        config, part = recipe.network, recipe.objective.get("rate")
        if rate is None and isinstance(part, ExecutionRateConfig):
            rate = part.target
    params, costs = measure(config, SIDES[table.dataset])
    scale = paper.per_mac / 1e9
    routed = rate is not None and costs.gated > 0
    return Comparison(
        table=f"{paper.paper}, {table.name}",
        dataset=table.dataset,
        unit=paper.unit,
        printed=row,
        params=params / 1e6,
        all_on=costs.full * scale,
        rate=rate,
        at_rate=(costs.always + rate * costs.gated) * scale if routed else None,
        asks=(row.cost / scale - costs.always) / costs.gated if routed and row.cost else None,
    )


def shown(title: str, *columns: str) -> Table:
    """An empty table, the figures to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        left = column in ("row", NAME, "why")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    return table


def number(value: float | None, form: str) -> str:
    """A formatted number; nothing for None."""
    return "" if value is None else format(value, form)


def render(comparisons: list[Comparison], paper: Paper) -> Table:
    """One printed table, ours beside it, and the reasons that it names."""
    first = comparisons[0]
    title = f"\n{first.table}, {first.dataset} ({paper.unit}: {paper.per_mac} per MAC)"
    table = shown(title, "row", NAME, "params", "ours", "gap", "", paper.unit, "all on", "rate")
    for column in ("at rate", "gap", "asks", "why"):
        table.add_column(column, justify="left" if column == "why" else "right", no_wrap=True)
    for c in comparisons:
        row = c.printed
        star = "*" if row.target is None and c.rate is not None else ""
        cells = (
            escape(row.label),
            row.recipe or row.model or "",
            number(row.params, ".2f"),
            number(c.params, ".2f"),
            number(c.params_gap, "+z.1%"),
            f"[red]{c.verdict}[/]" if c.verdict == "MISS" else c.verdict,
            number(row.cost, ".2f"),
            number(c.all_on, ".3f"),
            star + number(c.rate, ".2f"),
            number(c.at_rate, ".3f"),
            number(c.cost_gap, "+z.1%"),
            number(c.asks, ".2f"),
            c.why,
        )
        table.add_row(*cells)
    used = [key for key in paper.reasons if any(key in c.printed.reasons for c in comparisons)]
    table.caption = "\n".join(f"{key}: {paper.reasons[key]}" for key in used) or None
    table.caption_justify = "left"
    return table


def render_backbones(figures: dict[Backbone, float]) -> Table:
    """Every backbone with the GMACs that it must and does have."""
    table = shown("\nour backbones (GMACs)", NAME, "data set", "expected", "measured", "")
    for backbone, gmacs in figures.items():
        verdict = "ok" if fits(backbone, gmacs) else "[red]MISS[/]"
        cells = (backbone.model, backbone.dataset, f"{backbone.gmacs:.4f}", f"{gmacs:.6f}", verdict)
        table.add_row(*cells)
    return table


def fits(backbone: Backbone, gmacs: float) -> bool:
    """Whether ``gmacs`` rounds to the expected ones."""
    return abs(gmacs - backbone.gmacs) <= GMACS_DIGIT


def as_json(
    papers: list[Paper], comparisons: list[Comparison], figures: dict[Backbone, float]
) -> str:
    """All that is printed."""
    report = {
        "command": " ".join(["python", "benchmarks/fidelity.py", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "reasons": {paper.paper: paper.reasons for paper in papers},
        "rows": [comparison.as_json() for comparison in comparisons],
        "backbones": [
            asdict(backbone) | {"measured": gmacs} for backbone, gmacs in figures.items()
        ],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def main(options: Options) -> int:
    """Print every row and backbone; the exit status."""
    papers = [read(TABLES / f"{name}.toml", Paper) for name in PAPERS]
    backbones = read(TABLES / "backbones.toml", Backbones).backbones
    console = Console(width=190)
    console.print(LEGEND, highlight=False)
    comparisons: list[Comparison] = []
    for paper in papers:
        for table in paper.tables:
            rows = [compare(paper, table, row) for row in table.rows]
            console.print(render(rows, paper), highlight=False)
            comparisons += rows
    figures = {
        b: measure(static(b.model, b.dataset), SIDES[b.dataset])[1].static / 1e9 for b in backbones
    }
    console.print(render_backbones(figures), highlight=False)
    if options.json is not None:
        temporary = options.json.with_name(f"{options.json.name}.tmp")
        temporary.write_text(as_json(papers, comparisons, figures), encoding="utf-8")
        temporary.replace(options.json)
    missed = [f"{c.table}: {c.printed.label}" for c in comparisons if c.verdict == "MISS"]
    missed += [b.model for b, gmacs in figures.items() if not fits(b, gmacs)]
    print(f"\n{len(comparisons)} rows, {len(figures)} backbones, {len(missed)} missed")
    for name in missed:
        print(f"missed: {name}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
