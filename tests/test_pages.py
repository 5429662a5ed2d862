"""The documents say what the measurements say, and name files that are there."""

import dataclasses
import importlib
import io
import json
import re
import shlex
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest

from dyncore.campaigns import Result
from dyncore.cli import main
from dyncore.recipes import find_recipe
from dyncore.training import parse_arguments

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "core/*.md", "methods/*/*.md", "examples/*/*.md")
    for file in ROOT.glob(pattern)
)
PAGE = "# Soak\n\nkilled <!-- generated: soak-resume -->often<!-- end -->.\n"


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("pages")
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def results(pages, tmp_path, monkeypatch) -> Path:
    """A copy of the measurements, which the pages are filled from."""
    markdown = importlib.import_module("page_markdown")
    copy = Path(shutil.copytree(markdown.RESULTS, tmp_path / "results"))
    monkeypatch.setattr(markdown, "RESULTS", copy)
    return copy


@pytest.fixture
def emptied(pages, tmp_path, monkeypatch):
    """A function that makes a campaign one of which no run has ended, and gives how one ends."""
    module = importlib.import_module("page_campaign")
    copy = Path(shutil.copytree(module.CAMPAIGNS, tmp_path / "campaigns"))
    monkeypatch.setattr(module, "CAMPAIGNS", copy)
    any_result = Result.load(next((copy / "cascade_digits").glob("*.json")))

    def empty(name: str):
        shutil.rmtree(copy / name, ignore_errors=True)

        def end(run: str, seed: int, **metrics: float) -> None:
            result = dataclasses.replace(any_result, run=run, seed=seed, metrics=metrics)
            result.save(copy / name / f"{run}-s{seed}.json")

        return end

    return empty


def change(file: Path, edit) -> None:
    report = json.loads(file.read_text(encoding="utf-8"))
    edit(report)
    file.write_text(json.dumps(report), encoding="utf-8")


def test_every_page_is_current(pages):
    assert pages.main(pages.PAGES, check=True) == 0


def test_every_part_has_its_place_and_every_measurement_its_part(pages):
    text = "".join(file.read_text(encoding="utf-8") for file in pages.PAGES)
    placed = [name for _, name, _, _ in pages.MARKED.findall(text)]
    assert sorted(placed) == sorted(pages.PARTS)
    for file in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert f"benchmarks/results/{file.name}" in text, f"no page shows {file.name}"


def test_an_old_page_is_named_by_check_and_written_without(pages, tmp_path, capsys):
    page = tmp_path / "soak.md"
    page.write_text(PAGE, encoding="utf-8")
    assert pages.main([page], check=True) == 1
    assert capsys.readouterr().out.startswith("not current: soak.md")
    assert page.read_text(encoding="utf-8") == PAGE
    assert pages.main([page], check=False) == 0
    assert "killed <!-- generated: soak-resume -->20 kills survived" in page.read_text("utf-8")
    assert pages.main([page], check=True) == 0


@pytest.mark.parametrize(
    ("file", "edit", "part", "shown"),
    [
        ("race", lambda r: r["rows"][1].update(accuracy=0.7), "race", "| 0.7000 | −8.2 |"),
        ("race", lambda r: r.update(processor="4 cores of X"), "race", "2 threads on 4 cores of X"),
        ("engine-cpu", lambda r: r.update(onnxruntime="9.9"), "engine", "onnxruntime 9.9"),
        ("engine-cpu", lambda r: r["rows"][0].update(efficiency=0.8), "engine", "| **0.80** / "),
        (
            "engine-cpu",
            lambda r: [row.update(efficiency=0.1) for row in r["rows"]],
            "engine",
            "\n\n88 of 88 ",
        ),
        ("engine-cpu", lambda r: r["rows"][0].update(over_dense=1.04), "engine", "| **1.04** / "),
        (
            "engine-cpu-bf16",
            lambda r: r["rows"][0].update(over_fastest=0.123),
            "engine-bf16",
            "| --- |\n| 0.12 / ",
        ),
        (
            "engine-cpu-bf16",
            lambda r: [row.update(efficiency=0.1) for row in r["rows"]],
            "engine-bf16",
            "\n\n12 of 12 ",
        ),
        (
            "engine-accuracy",
            lambda r: r["rows"][0].update(accuracy_bf16=0.1, other_path=7),
            "engine-accuracy",
            "| 0.1000 | 1.0000 / 1.0000 | 7 / ",
        ),
        ("training-cpu", lambda r: r["rows"][1].update(time_ratio=7), "training", "| 7.00 | 1.03"),
        ("training-cpu", lambda r: r["rows"][2].update(time_ratio=7), "training", "| **7.00** ["),
        ("export", lambda r: r["rows"][3].update(over_eager=0.1), "export", "masked | 0.10 |"),
        (
            "engine-cpu",
            lambda r: [row.update(p50_s=1.2345) for row in r["rows"]],
            "first-minute",
            "| **1234.5** |",
        ),
        (
            "cascade-clock-finetuned",
            lambda r: [x.update(accuracy=0.9065) for x in r["rows"] if x.get("networks") == [56]],
            "first-minute",
            "right for 90.69 % of the images",
        ),
        (
            "cascade",
            lambda r: r["rows"][3].update(accuracy=0.5),
            "cascade",
            "| 10 % | 47.4 | 0.5000",
        ),
        ("soak_engine", lambda r: r["rows"][0].update(calls=7), "soak-engine", "7 calls: "),
    ],
)
def test_a_part_says_what_its_measurement_says(pages, results, file, edit, part, shown):
    assert shown not in pages.PARTS[part]()
    change(results / f"{file}.json", edit)
    assert shown in pages.PARTS[part]()


def test_means_stand_beside_what_they_are_added_to_and_their_subnet(pages, emptied):
    end = emptied("means_digits")
    assert pages.PARTS["means-alone"]().endswith("runs done. No run has ended yet.")
    for run, seed, accuracy, paths in (
        ("vanilla", 0, 0.90, 4.0),
        ("vanilla", 1, 0.92, 4.0),
        ("vanilla-subnet", 0, 0.91, 1.0),
        ("vanilla-quiet", 0, 0.89, 3.0),
        ("vanilla-quiet", 1, 0.91, 3.0),
        ("vanilla-random", 0, 0.80, 99.0),
        ("rdinet", 1, 0.95, 3.0),
    ):
        metrics = {"accuracy": accuracy, "macs_ratio": 0.6, "distinct_paths": paths}
        if not run.endswith("-random"):  # paths that nobody chose are not shuffled
            metrics["shuffled_accuracy"] = accuracy - 0.02
        end(run, seed, **metrics)
    shown = pages.PARTS["means-alone"]()
    assert "| `vanilla` | 2 | 0.9100 |  | −1.0 | −2.0 | 0.600 | 4 |" in shown
    assert "| `vanilla-quiet` | 2 | 0.9000 | −1.0 ± 0.0 |  | −2.0 | 0.600 | 3 |" in shown
    assert "| `rdinet` | 1 | 0.9500 |  |  | −2.0 | 0.600 | 3 |" in shown
    assert "| `vanilla-random` | 1 | 0.8000 | −10.0 |  |  | 0.600 | 99 |" in shown
    assert "vanilla-subnet" not in shown


def test_pairs_of_several_seeds_stand_above_what_costs_no_more(pages):
    def single(model, macs, accuracy, seed):
        interval = [accuracy - 0.01, accuracy + 0.01]
        row = {"kind": "single", "model": model, "macs_ratio": macs, "accuracy": accuracy}
        return {**row, "interval": interval, "seed": seed}

    def cascade(budget, accuracy, seed, answer="mean"):
        row = {"kind": "cascade", "model": "pair", "budget": budget, "accuracy": accuracy}
        return {**row, "answer": answer, "macs_ratio": budget, "seed": seed}

    rows = [
        *(single("small", 0.3, 0.80 + 0.01 * seed, seed) for seed in (0, 1)),
        *(single("middle", 0.5, 0.85 + 0.01 * seed, seed) for seed in (0, 1)),
        *(single("large", 1.0, 0.90, seed) for seed in (0, 1)),
        *(cascade(0.4, 0.84, seed) for seed in (0, 1)),
        *(cascade(0.5, 0.87 + 0.01 * seed, seed, "last") for seed in (0, 1)),
    ]
    shown = importlib.import_module("page_cascade")._pairs(rows)
    assert "| networks | MACs ratio | accuracy | at 0.4 | at 0.5 |" in shown
    assert "| small | 0.300 | 0.8050 ± 0.0636 |  |  |" in shown
    # 12.71 × the deviation of two over √2; at 0.5 the difference is the same with either seed
    assert "| cascade pair |  |  | 0.8400 (+3.5 ± 6.4) | 0.8750 (last) (+2.0 ± 0.0) |" in shown
    one = [row for row in rows if row["seed"] == 0]
    shown = importlib.import_module("page_cascade")._pairs(one)
    assert "| small | 0.300 | 0.8000 ± 0.0100 |  |  |" in shown
    assert "| cascade pair |  |  | 0.8400 | 0.8700 (last) |" in shown


def test_ablations_are_held_against_the_printed_signs(pages, emptied):
    end = emptied("ablations_cifar10")
    assert pages.PARTS["ablations"]().endswith("0 of 19 runs done. No run has ended yet.")
    found = {"rdinet-none": 0.80, "rdinet-usw": 0.81, "rdinet-gamma1": 0.79, "lcnet-l-only": 0.7}
    for run, accuracy in found.items():
        end(run, 0, accuracy=accuracy, macs_ratio=0.5)
    shown = pages.PARTS["ablations"]()
    assert (
        "| RDI-Net, Table 2 | USW | 93.52 | +0.3 | 81.00 | +1.0 | 0.500 | 1 | as printed |" in shown
    )
    # γ = 1 stands first in its table: γ = 0, which is the network without relations, is above it.
    assert (
        "| RDI-Net, Table 3 | γ = 0.0 | 93.21 | −0.6 | 80.00 | +1.0 | 0.500 | 1 | **other** |"
        in shown
    )
    assert "| DMNN, Table 4 | DMNN-50 + PREV | 76.91 | +0.2 |  |  |  |  |  |" in shown
    assert "| LC-Net | l-only |  |  | 70.00 |  | 0.500 | 1 |  |" in shown


def test_runs_of_the_print_are_averaged_over_their_seeds(pages, emptied):
    end = emptied("as_printed_digits")
    assert pages.PARTS["as-printed"]().count("no run has ended yet") >= 1
    for run, seed, accuracy, paths in (
        ("rdinet-printed", 0, 0.9, 3.0),
        ("rdinet-printed", 1, 0.94, 3.0),
        ("rdinet-ours", 0, 0.92, 3.0),
        ("rdinet-ours", 1, 0.97, 3.0),
        ("rdinet-biases", 1, 0.93, 3.0),
        ("static", 0, 0.99, 1.0),
    ):
        metrics = {"accuracy": accuracy, "macs_ratio": 0.5, "execution_rate": 0.5}
        metrics |= {"distinct_paths": paths, "shuffled_accuracy": accuracy - 0.012}
        end(run, seed, **metrics)
    shown = pages.PARTS["as-printed"]()
    assert "| `static` | 1 | 0.9900 |  |  | 0.500 | 0.500 | 1 |\n" in shown
    assert "| `rdinet-printed` | 2 | 0.9200 ± 0.0283 |  | −1.2 | 0.500 ± 0.000 |" in shown
    assert "| `rdinet-ours` | 2 | 0.9450 ± 0.0354 | +2.5 ± 6.4 | −1.2 |" in shown
    assert "| `rdinet-biases` | 1 | 0.9300 | −1.0 | −1.2 |" in shown
    assert shown.index("`static`") < shown.index("`rdinet-printed`") < shown.index("`rdinet-ours`")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<!-- generated: nothing --><!-- end -->", "no part is called 'nothing'; there are"),
        ("<!-- generated: race -->", "without <!-- end -->"),
        ("<!-- generated: race --> <!-- generated: race --><!-- end --><!-- end -->", "has no"),
    ],
)
def test_a_wrong_marker_is_named_with_its_page(pages, tmp_path, text, error):
    page = tmp_path / "wrong.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"wrong.md: .*{error}"):
        pages.main([page], check=False)
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_what_is_there(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    tests = re.findall(r"(?:core|methods|tests|benchmarks|examples)/[\w/*.-]+\.\w+", text)
    missing += [test for test in tests if not list(ROOT.glob(test))]
    assert not missing


@pytest.fixture(scope="module")
def options() -> set[str]:
    """What ``dyn train`` knows for a recipe of each method."""
    printed = io.StringIO()
    for recipe in (
        "cdb-mobilenetv2-n2-imagenet-b0.7",
        "dmnn-resnet50-n2-imagenet-b0.7",
        "lcnet-resnet18-cifar10-b0.5",
        "nested-resnet32-cifar10",
        "rdinet-resnet110-cifar10-b0.5",
        "spnet-resnet110-cifar10-b0.8",
        "rdinet-resnet110-cifar10-b0.5-tuned",
        "vanilla-resnet110-cifar10-b0.5-tuned",
    ):
        with redirect_stdout(printed), suppress(SystemExit):
            main(["train", recipe, "--help"])
    found = set(re.findall(r"--[a-z][\w.-]+", printed.getvalue()))
    parts = {option.rpartition(".")[0] for option in found}  # a part is left out by None
    return found | parts | {part.rpartition(".")[0] for part in parts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_options_that_the_command_line_knows(page, options):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"--(?:network|objective|optimizer|phases)\.[\w.-]+", text)
    assert not sorted(set(named) - options)


METHODS = {
    "cdb": ["cdb-resnet50-n2-imagenet-b0.7"],
    "dmnn": ["dmnn-resnet50-n2-imagenet-b0.7"],
    "lcnet": ["lcnet-resnet18-cifar10", "lcnet-resnet18-cifar10-b0.5"],
    "rdinet": ["rdinet-resnet110-cifar10-b0.5", "rdinet-resnet110-cifar10-b0.5-tuned"],
    "spnet": ["spnet-resnet110-cifar10-b0.6", "spnet-resnet110-cifar10-b0.6-tuned"],
}
EVERY = [name for names in METHODS.values() for name in names] + [
    "cdb-mobilenetv2-1.4-n2-imagenet-b0.7"
]
SWITCH = re.compile(r"`(--(?:network|objective|optimizer|phases|batch-size)[^`]*)`")


def recipes_of(page: Path) -> list[str]:
    """Those that a page's switches are for."""
    return METHODS.get(page.parent.name, EVERY)


SWITCHES = [
    pytest.param(page, switch, id=f"{page.relative_to(ROOT).as_posix()} {switch}")
    for page in PAGES
    for switch in dict.fromkeys(SWITCH.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("page", "switch"), SWITCHES)
def test_a_switch_works_as_it_is_written(page, switch):
    """For one recipe at least of those that the page is about; and it changes something."""
    changed = False
    for name in recipes_of(page):
        with suppress(SystemExit, ValueError), redirect_stderr(io.StringIO()):
            found = parse_arguments(name, shlex.split(switch), prog="dyn").recipe
            changed = changed or found != find_recipe(name)
    assert changed


def test_switches_are_found():
    assert len(SWITCHES) > 15
