"""The papers' printed rows, and what ``benchmarks/fidelity.py`` makes of them."""

import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dyncore import DynamicNetwork, ExecutionPath, cost_table
from dyncore.recipes import BENCHMARKS, Recipe, recipes

BENCHMARK_SCRIPTS = Path(__file__).parents[1] / "benchmarks"
PAPERS = ["cdb", "dmnn", "rdinet", "spnet", "lcnet"]

SMALL = """
paper = "ours"
unit = "GFLOPs"
per_mac = 1
reasons = { quoted = "counted by somebody else" }

[[tables]]
name = "Table 1"
dataset = "cifar10"
rows = [
    { label = "ResNet-20", model = "static-resnet20-cifar", params = 0.2697, cost = 0.04, error = 8.0 },
    { label = "CDB-20", recipe = "cdb-resnet20-n2-cifar10-b0.5", params = PARAMS, cost = 0.02, target = 0.5, error = 9.0 },
]
"""  # noqa: E501
BACKBONES = (
    'backbones = [ { model = "static-resnet20-cifar", dataset = "cifar10", gmacs = 0.0406 } ]'
)


@pytest.fixture(scope="module")
def fidelity():
    sys.path.insert(0, str(BENCHMARK_SCRIPTS))
    yield importlib.import_module("fidelity")
    sys.path.remove(str(BENCHMARK_SCRIPTS))


@pytest.fixture(scope="module")
def papers(fidelity):
    return {
        name: fidelity.read(fidelity.TABLES / f"{name}.toml", fidelity.Paper) for name in PAPERS
    }


@pytest.fixture(scope="module")
def rows(papers):
    """(paper, table, row) of all."""
    return [(p, t, row) for p in papers.values() for t in p.tables for row in t.rows]


@pytest.fixture
def small(fidelity, tmp_path, monkeypatch) -> Path:
    """A folder in place of the papers' tables, with rows that fit."""
    network = meta(recipes()["cdb-resnet20-n2-cifar10-b0.5"])
    params = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    (tmp_path / "small.toml").write_text(SMALL.replace("PARAMS", f"{params}"), encoding="utf-8")
    (tmp_path / "backbones.toml").write_text(BACKBONES, encoding="utf-8")
    monkeypatch.setattr(fidelity, "TABLES", tmp_path)
    monkeypatch.setattr(fidelity, "PAPERS", ("small",))
    return tmp_path


def meta(recipe: Recipe) -> DynamicNetwork:
    with torch.device("meta"):
        return DynamicNetwork(recipe.network)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_every_row_of_a_model_is_one_of_its_recipe(rows):
    known = recipes()
    for paper, table, row in rows:
        if row.recipe is None:
            continue
        recipe = known[row.recipe]
        assert recipe.source.paper == paper.paper, row
        assert table.name in recipe.source.place, row
        assert recipe.dataset == BENCHMARKS[table.dataset].dataset, row
        if row.target is not None:
            assert recipe.objective["rate"].target == row.target, row
        if re.search("GFLOPs|GMACCs", recipe.source.place):
            assert str(row.cost) in re.findall(r"[\d.]+", recipe.source.place), row


def test_every_recipe_of_a_table_has_its_row(papers, rows):
    found = {(p.paper, t.name, t.dataset, row.recipe or row.model) for p, t, row in rows}
    shorts = {benchmark.dataset: short for short, benchmark in BENCHMARKS.items()}
    names = {paper.paper for paper in papers.values()}
    for name, recipe in recipes().items():
        own = recipe.model if recipe.model.startswith("static-") else name
        if recipe.source.paper in names and recipe.source.setup == "paper":
            for table in re.findall(r"Table \d+", recipe.source.place):
                assert (recipe.source.paper, table, shorts[recipe.dataset], own) in found


def test_cdb_and_dmnn_print_the_same_results(papers):
    """Audit, section 2.2: all digits are the same, and so are ours."""
    printed = [
        [
            (table.dataset, row.params, row.cost, row.target, row.error, row.judged, row.reasons)
            for table in papers[name].tables
            for row in table.rows
        ]
        for name in ("cdb", "dmnn")
    ]
    assert printed[0] == printed[1]
    assert len(printed[0]) == 34


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("error = 8.0", "error = 8.0, ratio = 1.0", "small.toml: .*no field 'ratio'"),
        ("cost = 0.04", 'cost = "0.04"', "small.toml: .*expected float, not '0.04'"),
        ("error = 8.0", "error = 8.0, accuracy = 92.0", "either error or accuracy"),
        ('label = "CDB-20"', 'label = "CDB-20", model = "a"', "either model or recipe"),
        ("error = 8.0", "error = 8.0, judged = false", "its reasons must say why"),
        ("error = 8.0", 'error = 8.0, reasons = ["A1"]', r"not given: \['A1'\]"),
        ('dataset = "cifar10"', 'dataset = "mnist"', "expected one of 'cifar10'"),
    ],
)
def test_what_is_no_row_is_refused(fidelity, small, old, new, error):
    edit(small / "small.toml", old, new)
    with pytest.raises(ValueError, match=error):
        fidelity.main(fidelity.Options())


@pytest.mark.parametrize(
    ("file", "old", "new", "missed"),
    [
        ("small.toml", "", "", None),
        ("small.toml", "params = 0.2697", "params = 0.2710", None),  # 0.47 % off
        ("small.toml", "params = 0.2697", "params = 0.2712", "ours, Table 1: ResNet-20"),
        ("small.toml", "params = 0.2697", "params = 0.2682", "ours, Table 1: ResNet-20"),
        (
            "small.toml",
            "params = 0.2697",
            'params = 0.2712, judged = false, reasons = ["quoted"]',
            None,
        ),
        ("backbones.toml", "0.0406", "0.0407", "static-resnet20-cifar"),
        ("backbones.toml", "0.0406", "0.0405", "static-resnet20-cifar"),
    ],
)
def test_a_wrong_figure_is_the_exit_status(fidelity, small, capsys, file, old, new, missed):
    edit(small / file, old, new)
    assert fidelity.main(fidelity.Options()) == (missed is not None)
    captured = capsys.readouterr()
    assert captured.err == (f"missed: {missed}\n" if missed else "")
    assert f"2 rows, 1 backbones, {int(missed is not None)} missed" in captured.out


@pytest.mark.parametrize(("share", "status"), [(0.981, 0), (0.979, 1), (1.019, 0), (1.021, 1)])
def test_a_dynamic_model_may_differ_by_two_percent(fidelity, small, share, status):
    edit(small / "small.toml", ", cost = 0.02", f", cost = {share}")
    text = (small / "small.toml").read_text(encoding="utf-8")
    params = float(re.findall(r"params = ([\d.]+)", text)[1])
    edit(small / "small.toml", f"params = {params}", f"params = {params / share}")
    assert fidelity.main(fidelity.Options()) == status


def test_backbones_are_those_of_the_papers(fidelity, papers, rows):
    file = fidelity.TABLES / "backbones.toml"
    for backbone in fidelity.read(file, fidelity.Backbones).backbones:
        config = fidelity.static(backbone.model, backbone.dataset)
        _, costs = fidelity.measure(config, fidelity.SIDES[backbone.dataset])
        assert f"{costs.static / 1e9:.4f}" == f"{backbone.gmacs:.4f}", backbone
    for paper, table, row in rows:
        if row.recipe is None:
            found = fidelity.compare(paper, table, row)
            assert found.verdict != "MISS", row
            assert found.why != "?", row


def test_a_wrong_figure_in_the_papers_own_table_is_a_miss(fidelity, papers):
    paper = papers["cdb"]
    table = paper.tables[0]
    (row,) = [row for row in table.rows if row.label == "ResNet-50 (ours)"]
    assert fidelity.compare(paper, table, row).verdict == "ok"
    for params in (25.40, 25.72):
        assert fidelity.compare(paper, table, replace(row, params=params)).verdict == "MISS"


def test_costs_are_in_the_unit_of_the_paper(fidelity, papers):
    """ResNet-32 at 32×32, layer by layer: 2 per MAC in SP-Net; LC-Net's unit is 1 per MAC."""
    macs = 3 * 16 * 9 * 32**2 + 10 * 16 * 16 * 9 * 32**2 + 64 * 10
    for channels, side in ((32, 16), (64, 8)):
        macs += (channels // 2 + 9 * channels) * channels * 9 * side**2
    table = papers["spnet"].tables[0]
    row = table.rows[0]
    assert row.model == "static-resnet32-cifar"
    for paper, per_mac in (("rdinet", 2), ("spnet", 2), ("cdb", 1), ("dmnn", 1), ("lcnet", 1)):
        ours = fidelity.compare(papers[paper], table, row)
        assert ours.all_on == pytest.approx(per_mac * macs / 1e9, rel=1e-12)
    printed_in_macs = fidelity.compare(papers["spnet"], table, row)
    assert printed_in_macs.cost_gap == pytest.approx(2 * macs / 1e9 / 0.14 - 1)


def test_cost_at_a_rate_is_between_nothing_and_all(fidelity, papers):
    """Counted on paths: half of the images run everything, half nothing."""
    paper, table = papers["spnet"], papers["spnet"].tables[0]
    recipe = recipes()["cdb-resnet20-n2-cifar10-b0.5"]
    network = meta(recipe)
    costs = cost_table(network, (3, 32, 32))
    on = torch.tensor([True, False])[:, None].expand(2, sum(network.paths_per_block))
    macs = costs.macs(ExecutionPath.of(on, network.paths_per_block))
    row = replace(table.rows[-1], recipe=recipe.name, cost=2e-9 * float(macs[1]), target=0.5)
    found = fidelity.compare(paper, table, row)
    assert found.all_on == pytest.approx(2e-9 * float(macs[0]), rel=1e-12)
    assert found.at_rate == pytest.approx(2e-9 * macs.double().mean().item(), rel=1e-12)
    assert found.asks == pytest.approx(0, abs=1e-9)
    everything = replace(row, cost=2e-9 * float(macs[0]))
    assert fidelity.compare(paper, table, everything).asks == pytest.approx(1)


def test_a_rate_that_is_not_printed_is_the_recipes(fidelity, papers):
    table = papers["lcnet"].tables[0]
    found = fidelity.compare(papers["lcnet"], table, table.rows[-1])
    assert found.rate is found.at_rate is found.asks is found.cost_gap is None
    row = replace(table.rows[-1], recipe="cdb-resnet20-n2-cifar10-b0.4")
    assert fidelity.compare(papers["cdb"], table, row).rate == 0.4
    assert fidelity.compare(papers["cdb"], table, replace(row, target=0.6)).rate == 0.6


def test_a_cost_beyond_the_tolerance_needs_a_reason(fidelity, papers):
    table = papers["lcnet"].tables[0]
    row = replace(table.rows[2], reasons=())
    assert row.model == "static-resnet18-cifar"  # 0.5554 GMACs
    for cost, why in ((0.55, "?"), (0.551, ""), (0.56, ""), (0.561, "?")):
        assert fidelity.compare(papers["lcnet"], table, replace(row, cost=cost)).why == why
    given = replace(row, reasons=("digits",))
    assert fidelity.compare(papers["lcnet"], table, given).why == "digits"


def test_json_has_every_row(fidelity, small, tmp_path):
    file = tmp_path / "fidelity.json"
    assert fidelity.main(fidelity.Options(json=file)) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    static, dynamic = report["rows"]
    assert static["printed"]["params"] == 0.2697
    assert static["params"] == 0.269722
    assert static["params_gap"] == pytest.approx(0.269722 / 0.2697 - 1)
    assert (dynamic["table"], dynamic["rate"]) == ("ours, Table 1", 0.5)
    assert [backbone["measured"] for backbone in report["backbones"]] == [0.04055104]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_missing_folder_is_named_at_once(fidelity, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"json: there is no folder .*nowhere"):
        fidelity.Options(json=tmp_path / "nowhere" / "fidelity.json")
