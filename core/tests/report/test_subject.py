"""What a report finds in folders and files."""

import json

import pytest

from dyncore.report import read_printed, read_subjects


@pytest.fixture
def run(tmp_path, evaluation):
    """Writes the folder of a run."""

    def write(place, *, seed=None, name="vanilla-made-up", images=60):
        folder = tmp_path / place / name
        evaluation(0 if seed is None else seed, images=images).save(folder / "evaluation.parquet")
        if seed is not None:
            recipe = {"name": name, "options": {"seed": seed}}
            (folder / "recipe.json").write_text(json.dumps(recipe))
        return folder

    return write


def test_seeds_of_a_recipe_are_one_series(run):
    subjects = read_subjects([run("a", seed=3), run("b", seed=1)])
    assert [s.name for s in subjects] == ["vanilla-made-up, seed 3", "vanilla-made-up, seed 1"]
    assert {s.series for s in subjects} == {"vanilla-made-up"}


def test_a_seed_that_comes_twice_is_no_series(run):
    folders = [run("a", seed=3), run("b", seed=3)]
    subjects = read_subjects(folders)
    assert [s.name for s in subjects] == [f"vanilla-made-up ({folder})" for folder in folders]
    assert [s.series for s in subjects] == [s.name for s in subjects]


def test_a_file_has_the_name_that_stands_in_it(tmp_path, evaluation):
    evaluation().save(tmp_path / "any.parquet")
    (found,) = read_subjects([tmp_path / "any.parquet"])
    assert (found.name, found.seed, found.model) == ("made-up", None, None)
    assert found.evaluation.about.classes == ("ant", "bee", "<b>$cat$</b>")


def test_a_damaged_recipe_costs_the_seed_only(run):
    folder = run("a", seed=3)
    (folder / "recipe.json").write_text("{")
    (found,) = read_subjects([folder])
    assert (found.name, found.seed) == ("made-up", None)


def test_other_images_are_refused(run):
    with pytest.raises(ValueError, match=r"b.* \(40 images\) and .*a.* \(60\) are not of the same"):
        read_subjects([run("a", seed=0), run("b", seed=1, images=40)])


def test_a_run_that_has_not_ended_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no evaluation; give the folder"):
        read_subjects([tmp_path])


PAPER = """
paper = "A"
per_mac = 2
[[tables]]
name = "Table 1"
dataset = "cifar10"
rows = [{ label = "x", cost = 0.5, error = 7.5 }, { label = "y", cost = 0.25, accuracy = 91.0 }]
[[tables]]
name = "Table 2"
dataset = "imagenet"
rows = [{ label = "z", cost = 4.0, accuracy = 75.0 }]
"""


def test_printed_flops_are_halved_and_errors_become_accuracies(tmp_path):
    (tmp_path / "a.toml").write_text(PAPER)
    rows = read_printed(tmp_path / "a.toml", "cifar10")
    assert [(row.name, row.macs, row.accuracy) for row in rows] == [
        ("A: x", 0.25e9, 92.5),
        ("A: y", 0.125e9, 91.0),
    ]
    with pytest.raises(ValueError, match=r"a\.toml has no printed row on 'digits' with a cost"):
        read_printed(tmp_path / "a.toml", "digits")


@pytest.mark.parametrize("text", ["no = toml = file", "paper = 'A'", "\ud800"])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "b.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"b\.toml is no table of printed rows"):
        read_printed(tmp_path / "b.toml", "cifar10")
