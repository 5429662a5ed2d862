"""What our variants change is said, with nothing left out and nothing made up; names say which."""

import copy
import re
from dataclasses import replace

import pytest

from dyncore.gating import ShortRangeRouterConfig
from dyncore.methods.static.method import METHOD as STATIC
from dyncore.methods.vanilla.method import METHOD as VANILLA
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig
from dyncore.recipes import (
    SGD,
    Annealing,
    Change,
    Cosine,
    Phase,
    Source,
    Steps,
    Variant,
    annealed,
    changed,
    differences,
    find_recipe,
    make_recipe,
    narrowed,
    recipes,
    settings,
    short,
    tuned,
)

RECIPES = recipes()
VARIANTS = {name: recipe for name, recipe in RECIPES.items() if recipe.source.setup != "paper"}
SMALL_BATCH = Change("few steps", lambda recipe: replace(recipe, batch_size=8))


@pytest.fixture
def row():
    """A recipe of a warm-up and a main phase, with nothing of ours."""
    return make_recipe(
        VANILLA,
        "resnet20-cifar",
        "cifar10",
        source=Source(paper="a paper", place="a row"),
        objective={"classification": CrossEntropyConfig(), "rate": ExecutionRateConfig(target=0.6)},
        phases=(
            Phase(name="warm-up", epochs=10.0, paths="uniform", objective=("classification",)),
            Phase(name="train", epochs=30.0, schedule=Steps(milestones=(10.0, 20.0))),
        ),
        budget=0.6,
    )


@pytest.mark.parametrize("backbone", ["resnet20-cifar", "resnet110-cifar"])
@pytest.mark.parametrize("benchmark", ["cifar10", "digits"])
def test_a_recipe_holds_what_it_is_given(backbone, benchmark):
    """Whatever the network and the data: nothing is looked at but what is passed."""
    settings = {
        "objective": {"rate": ExecutionRateConfig(target=0.3, weight=2.0)},
        "phases": (
            Phase(
                name="train",
                epochs=7.0,
                schedule=Steps(milestones=(2.0,)),
                annealing=Annealing(),
                objective=("rate",),
            ),
        ),
        "optimizer": SGD(learning_rate=0.3),
        "batch_size": 17,
        "source": Source(paper="a paper", place="a row", changes=("batch_size = 17 (256): why",)),
    }
    recipe = make_recipe(VANILLA, backbone, benchmark, **settings)
    assert {name: getattr(recipe, name) for name in settings} == settings


def test_a_batch_size_that_is_not_given_is_the_benchmarks():
    for name, expected in (("cifar10", 256), ("imagenet", 256), ("digits", 64)):
        phases = (Phase(name="train", epochs=1.0),)
        objective = {"classification": CrossEntropyConfig()}
        source = Source(paper="a paper", place="a row")
        recipe = make_recipe(
            STATIC, "resnet50", name, source=source, objective=objective, phases=phases
        )
        assert recipe.batch_size == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_says_all_that_it_changes(name):
    variant = VARIANTS[name]
    assert name.endswith(f"-{variant.source.setup}")
    plain = RECIPES[name.removesuffix(f"-{variant.source.setup}")]
    assert plain.source == replace(variant.source, setup="paper", changes=())
    said = set(re.findall(r"(?:^|[,;] )([\w.]+) = ", "; ".join(variant.source.changes)))
    differing = {difference.partition(" = ")[0] for difference in differences(plain, variant)}
    assert differing
    assert {option for option in differing if not within(option, said)} == set()
    assert {option for option in said if not within(option, differing)} == set()


def within(option: str, others: set[str]) -> bool:
    """Whether it is one of the others, or a part of one: two changes may set one after another."""
    return any(f"{option}.".startswith(f"{other}.") for other in others)


@pytest.mark.parametrize("name", [n for n in RECIPES if n not in VARIANTS])
def test_what_is_ours_on_the_papers_data_is_the_papers_set_up(name):
    """Without a variant: nothing changed, but on digits, which no paper has."""
    source = RECIPES[name].source
    if source.paper == "ours" and "digits" not in name:
        assert source.changes == ()


def test_every_short_recipe_stands_beside_the_one_it_was_made_from():
    small = {name for name, recipe in RECIPES.items() if recipe.model.endswith("resnet20-cifar")}
    assert small
    for name in small - VARIANTS.keys():
        assert "digits" in name or f"{name}-short" in VARIANTS, name


def test_a_change_writes_down_what_it_changed_and_why(row):
    after = SMALL_BATCH(row)
    assert after.source.changes == ("batch_size = 8 (256): few steps",)
    assert after == replace(row, batch_size=8, source=after.source)
    assert SMALL_BATCH(after) is after  # nothing left to change, nothing said


def test_changes_follow_one_another_and_leave_what_they_start_from(row):
    before = copy.deepcopy(row)
    after = changed(
        row, SMALL_BATCH, annealed(Annealing(), "why"), annealed(Annealing(start=2.0), "x")
    )
    assert row == before
    assert after.name == row.name
    assert after.source.changes[2] == "phases.1.annealing.start = 2 (8): x"
    assert [phase.annealing for phase in after.phases] == [None, Annealing(start=2.0)]


def test_a_variant_is_named(row):
    variant = Variant("hasty", (SMALL_BATCH,))(row)
    assert variant.name == "vanilla-resnet20-cifar10-b0.6-hasty"
    assert (variant.source.setup, variant.source.place) == ("hasty", "a row")
    with pytest.raises(ValueError, match=r"'vanilla.*-hasty' is the variant 'hasty' already"):
        short(variant)


def test_differences_name_options_with_new_and_old_value(row):
    other = replace(
        row,
        name="another-name",
        source=Source(paper="another", place=""),
        batch_size=64,
        optimizer=replace(row.optimizer, learning_rate=0.05),
        network=replace(row.network, router=ShortRangeRouterConfig(dim=8)),
        objective={
            "classification": row.objective["classification"],
            "rate": ExecutionRateConfig(target=0.6, leak=0.01),
            "more": CrossEntropyConfig(),
        },
        phases=(row.phases[0], replace(row.phases[1], schedule=Cosine())),
    )
    assert set(differences(row, other)) == {
        "network.router.dim = 8 (256)",
        "objective.rate.leak = 0.01 (0)",
        "objective.more = CrossEntropyConfig(label_smoothing=0.0) (None)",
        "phases.1.schedule = Cosine() (Steps(milestones=(10.0, 20.0), gamma=0.1))",
        "batch_size = 64 (256)",
        "optimizer.learning_rate = 0.05 (0.1)",
    }
    assert differences(row, replace(row, name="another-name")) == ()
    one_phase = replace(row, phases=row.phases[1:])
    (whole,) = differences(row, one_phase)
    assert whole.startswith("phases = (Phase(name='train'")


def test_tuned_trains_gates_more_calmly_and_nothing_else(row):
    recipe = tuned(row)
    annealing = Annealing(start=8.0, end=0.3, until=0.6)
    assert {
        name: settings(recipe)[name]
        for name in settings(row).keys() & settings(recipe).keys()
        if settings(recipe)[name] != settings(row)[name]
    } == {
        "optimizer.router_learning_rate": 0.01,
        "objective.rate.reads": "noise-free",
        "network.router.initial_weights": "he",
        "network.gate.initial_weights": "he",
        "network.gate.initial_biases": (0.0, 0.0),
    }
    assert recipe.phases == (row.phases[0], replace(row.phases[1], annealing=annealing))


def test_static_networks_have_no_gates_to_change():
    plain = find_recipe("static-resnet20-cifar10")
    assert changed(plain, *tuned.changes) is plain
    brief = find_recipe("static-resnet20-cifar10-short")
    assert brief == short(plain)
    assert (brief.batch_size, brief.epochs, brief.optimizer) == (64, 6.0, plain.optimizer)
    assert brief.phases == (Phase(name="train", epochs=6.0, schedule=Cosine()),)
    assert brief.objective == plain.objective


def test_narrower_routers_are_said():
    digits = find_recipe("vanilla-resnet20-digits-b0.6")
    assert digits.source.changes[0].startswith("network.router.dim = 32 (256): ")
    assert narrowed(16)(digits).network.router == replace(digits.network.router, dim=16)


def test_a_row_of_a_paper_is_as_printed_and_tuned_stands_beside_it():
    row = find_recipe("vanilla-resnet110-cifar10-b0.6")
    assert (row.source.paper, row.source.setup) == ("RDI-Net", "paper")
    assert row.source.changes == ()
    beside = find_recipe("vanilla-resnet110-cifar10-b0.6-tuned")
    assert beside == tuned(row)
    options = [change.partition(" = ")[0] for change in beside.source.changes]
    assert options == [
        "objective.rate.reads",
        "network.gate.initial_biases",
        "optimizer.router_learning_rate",
        "phases.0.annealing",
        "phases.0.schedule.milestones",
    ]


@pytest.mark.parametrize(
    ("name", "low"),
    [
        ("vanilla-resnet20-cifar10-b0.6-short", 0.25),
        ("vanilla-resnet32-cifar10-b0.6-tuned", 0.2),
    ],
)
def test_gates_are_cold_only_where_the_learning_rate_is_low(name, low):
    phase = find_recipe(name).phases[-1]
    for step in range(1000):
        cold = phase.annealing.factor(step / 1000) < 0.5
        assert phase.schedule.factor(phase.epochs * step / 1000, phase.epochs) < low or not cold


def test_short_runs_hold_the_network_to_its_target_and_blocks_loosely():
    """Where the papers have one rate for every block; other networks keep that."""
    small = find_recipe("vanilla-resnet20-cifar10-b0.6-short").objective
    rate, flops = small["rate"], small["flops"]
    assert (rate.target, flops.target) == (0.6, 0.6)
    assert 0 < rate.target - rate.tolerance < rate.target + rate.tolerance < 1
    for name in (
        "vanilla-resnet20-cifar10-b0.6",
        "vanilla-resnet20-digits-b0.6",
        "vanilla-resnet32-cifar10-b0.6",
    ):
        objective = find_recipe(name).objective
        assert objective["rate"].tolerance == 0
        assert "flops" not in objective


def test_noise_is_gone_before_a_short_run_ends():
    annealing = find_recipe("vanilla-resnet20-cifar10-b0.6-short").phases[-1].annealing
    assert annealing.noise(0.5) == 1.0
    assert annealing.noise(0.95) == 0.0
