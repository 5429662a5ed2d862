"""Every recipe is compared with what its paper prints; each difference is named."""

from dataclasses import replace

import pytest

from dyncore.recipes import (
    SGD,
    Annealing,
    Change,
    Cosine,
    Print,
    Recipe,
    Statement,
    find_print,
    find_recipe,
    recipes,
    settings,
    with_settings,
)

RECIPES = recipes()
PACKAGES = ("static", "vanilla", "cdb", "dmnn", "rdinet", "spnet", "lcnet")
COMPARISONS = {
    package: find_print(next(name for name in RECIPES if name.startswith(f"{package}-")))
    for package in PACKAGES
}
COMPARED = {
    name: recipe
    for name, recipe in RECIPES.items()
    if name.split("-")[0] in COMPARISONS and "relational" not in name
}
VANILLA = "vanilla-resnet110-cifar10-b0.6"


def unnamed(recipe: Recipe, printed: Print | None = None) -> set[str]:
    """Settings that differ from what is said of them, or of which nothing is said, and no change
    in the recipe's source says so."""
    printed = printed or COMPARISONS[recipe.name.split("-")[0]]
    assert printed is not None
    rows = printed.compare(recipe)
    return {row.option for row in rows if row.origin in ("changed", "nowhere") and not row.place}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_difference_is_named(package):
    found = {name: recipe for name, recipe in COMPARED.items() if name.startswith(f"{package}-")}
    assert {name: unnamed(recipe) for name, recipe in found.items() if unnamed(recipe)} == {}


def test_rows_of_papers_differ_in_nothing():
    rows = {
        name: recipe
        for name, recipe in COMPARED.items()
        if recipe.source.paper != "ours" and recipe.source.setup == "paper"
    }
    assert len(rows) > 20
    for name, recipe in rows.items():
        assert recipe.source.changes == (), name
        compared = COMPARISONS[name.split("-")[0]].compare(recipe)
        assert {row.origin for row in compared} <= {"printed", "borrowed"}, name


def test_what_is_borrowed_is_made_from_the_comparison():
    """With its place and its value, for every setting that the paper does not print."""
    for name, recipe in COMPARED.items():
        plain = RECIPES.get(name.removesuffix(f"-{recipe.source.setup}"))
        if plain is None or plain.source.changes:
            continue  # made from a recipe that is not installed, or on digits
        for row in COMPARISONS[name.split("-")[0]].compare(plain):
            said = f"{row.option} = " in recipe.source.borrowed
            assert said == (row.origin == "borrowed"), (name, row)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("optimizer.learning_rate", 0.05),
        ("optimizer.router_learning_rate", 0.01),
        ("optimizer.nesterov", True),
        ("batch_size", 64),
        ("augmentation.padding", 2),
        ("network.router.norm", False),
        ("network.router.initial_weights", "torch"),
        ("network.gate.initial_biases", (0.0, 0.0)),
        ("network.gate.temperature", 2.0),
        ("objective.rate.reads", "noise-free"),
        ("objective.rate.target", 0.55),
        ("objective.rate.leak", 0.01),
        ("phases.0.epochs", 300.0),
        ("phases.0.schedule.milestones", (150.0, 250.0)),
    ],
)
def test_a_difference_put_in_on_purpose_is_found(option, value):
    row = RECIPES[VANILLA]
    assert unnamed(row) == set()
    assert unnamed(with_settings(row, {option: value})) == {option}


def test_parts_put_in_on_purpose_are_found():
    row = RECIPES[VANILLA]
    annealed = with_settings(row, {"phases.0.annealing": Annealing()})
    assert unnamed(annealed) == {f"phases.0.annealing.{f}" for f in ("start", "end", "until")}
    cosine = unnamed(with_settings(row, {"phases.0.schedule": Cosine()}))
    assert cosine == {f"phases.0.schedule.{f}" for f in ("name", "milestones", "gamma")}
    more = {**row.objective, "second": row.objective["rate"]}
    assert "objective.second.weight" in unnamed(replace(row, objective=more))


def test_a_named_difference_counts_as_said_and_an_unnamed_one_beside_it_does_not():
    row = RECIPES[VANILLA]
    smaller = Change("few steps", lambda recipe: replace(recipe, batch_size=64))(row)
    assert unnamed(smaller) == set()
    (said,) = [row for row in find_print(VANILLA).compare(smaller) if row.option == "batch_size"]
    assert (said.value, said.stated, said.place, said.origin) == (64, 256, "few steps", "changed")
    faster = replace(smaller, optimizer=SGD(learning_rate=0.2))
    assert unnamed(faster) == {"optimizer.learning_rate"}


def test_later_statements_win_and_another_part_takes_the_old_ones_fields_along():
    general = Statement(
        printed="section 1",
        values={
            "batch_size": 256,
            "phases": {"train": {"schedule": {"name": "Steps", "milestones": [1.0], "gamma": 0.1}}},
            "objective": {"rate": {"target": "{b}", "weight": 2.0}},
        },
    )
    cosine = {"phases": {"train": {"schedule": {"name": "Cosine"}}}}
    printed = Print(
        statements=(
            general,
            Statement(borrowed="ours", values={"batch_size": 64}),
            Statement(borrowed="ours", recipes=("other-*",), values={"batch_size": 1}),
            Statement(printed="section 2", values=cosine),
            Statement(printed="section 3", values={"objective": {"rate": {"weight": 1.0}}}),
        )
    )
    stated = printed.stated(RECIPES[VANILLA])
    assert {key: value for key, (value, _) in stated.items()} == {
        "batch_size": 64,
        "phases.train.schedule.name": "Cosine",
        "objective.rate.target": 0.6,
        "objective.rate.weight": 1.0,
    }
    assert stated["objective.rate.weight"][1].place == "section 3"
    with pytest.raises(ValueError, match=r"number after -b in 'static-resnet110-cifar10'"):
        printed.stated(find_recipe("static-resnet110-cifar10"))


def test_a_statement_is_printed_or_borrowed():
    for places in ({}, {"printed": "here", "borrowed": "there"}):
        with pytest.raises(ValueError, match="either printed or borrowed"):
            Statement(values={"batch_size": 1}, **places)


def test_settings_are_set_by_option_and_absent_ones_passed_over():
    row = RECIPES[VANILLA]
    changed = with_settings(
        row,
        {
            "phases.0.epochs": 10.0,
            "objective.rate.weight": 2.0,
            "objective.rank.weight": 3.0,
            "network.router.history": 4,
        },
    )
    differing = {key for key, value in settings(changed).items() if settings(row)[key] != value}
    assert differing == {"phases.train.epochs", "objective.rate.weight"}
    with pytest.raises(ValueError, match="epochs must be positive"):
        with_settings(row, {"phases.0.epochs": 0.0})
