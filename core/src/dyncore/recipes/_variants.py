"""Our changes to the papers' set-ups, and the variants that they make up (docs/paper-notes.md)."""

from collections.abc import Callable
from dataclasses import replace

from dyncore.objectives import ExecutionRateConfig, FlopsRatioConfig
from dyncore.recipes._change import Change, Variant
from dyncore.recipes._optimizer import SGD
from dyncore.recipes._recipe import Phase, Recipe
from dyncore.recipes._schedule import Annealing, Cosine, Steps
from dyncore.recipes._settings import with_settings


def in_routed_phases(edit: Callable[[Phase], Phase]) -> Callable[[Recipe], Recipe]:
    """An edit of the phases in which gates decide; a warm-up stays."""

    def edited(recipe: Recipe) -> Recipe:
        phases = (edit(phase) if phase.paths == "routed" else phase for phase in recipe.phases)
        return replace(recipe, phases=tuple(phases))

    return edited


def where_gated(edit: Callable[[Recipe], Recipe]) -> Callable[[Recipe], Recipe]:
    """An edit that leaves static networks alone."""
    return lambda recipe: recipe if recipe.network.gate is None else edit(recipe)


def annealed(annealing: Annealing, why: str) -> Change:
    """The gates' temperature and noise over the routed phases."""
    anneal = in_routed_phases(lambda phase: replace(phase, annealing=annealing))
    return Change(why, where_gated(anneal))


def narrowed(dim: int) -> Change:
    """Narrower routers for 8×8 images."""
    return Change(
        "routers of width 256 would cost a quarter of the network on 8×8 images",
        lambda recipe: with_settings(recipe, {"network.router.dim": dim}),
    )


SLOW_ROUTERS = Change(
    "at the blocks' learning rate the decisions of routers and gates swing",
    where_gated(
        lambda recipe: replace(
            recipe, optimizer=replace(recipe.optimizer, router_learning_rate=0.01)
        )
    ),
)

HELD = Change(
    "what is held to the target is what evaluation will run: hard decisions, without noise",
    lambda recipe: with_settings(
        recipe, {"objective.rate.reads": "noise-free", "objective.flops.reads": "noise-free"}
    ),
)
"""Of budgets."""

HE_START = Change(
    "torch's start leaves logits far below the gates' noise: for long no decision depends on the "
    "image",
    lambda recipe: with_settings(
        recipe,
        {
            "network.router.initial_weights": "he",
            "network.gate.initial_weights": "he",
            "network.gate.initial_biases": (0.0, 0.0),
        },
    ),
)
"""Of routers, and of gates of two logits."""


def _earlier(phase: Phase) -> Phase:
    """Milestones as early as SP-Net's, where the first one would be in the second half."""
    schedule = phase.schedule
    if not isinstance(schedule, Steps) or schedule.milestones[0] <= phase.epochs / 2:
        return phase
    shares = tuple(milestone / 320 for milestone in (150.0, 250.0))
    milestones = tuple(share * phase.epochs for share in shares)
    return replace(phase, schedule=replace(schedule, milestones=milestones))


EARLIER = Change(
    "gates are cold from the middle on: by then the learning rate is low",
    where_gated(in_routed_phases(_earlier)),
)

tuned = Variant(
    "tuned",
    (
        HELD,
        HE_START,
        SLOW_ROUTERS,
        annealed(
            Annealing(),
            "blocks learn from a smooth average first, and later what hard decisions will run",
        ),
        EARLIER,
    ),
)
"""Gates that are trained more calmly; all else is the paper's."""

SHORT_ANNEALING = Annealing(start=16.0, end=0.12, until=0.95, fade=0.6)

_FADING = (
    "a gate that is cold while the learning rate is high swings, and noise that stays to the end "
    "trains other paths than evaluation runs"
)

ON_DIGITS = (HELD,)
"""What earns its place on digits: the budget is met (docs/paper-notes.md)."""


def _shared(recipe: Recipe) -> Recipe:
    """The network meets the target, and its blocks share it as they learn to."""
    rate = recipe.objective.get("rate")
    if not isinstance(rate, ExecutionRateConfig):
        return recipe
    loose = replace(rate, tolerance=0.35, weight=10.0, leak=0.01)
    macs = FlopsRatioConfig(target=rate.target, weight=40.0, reads=rate.reads)
    return replace(recipe, objective={**recipe.objective, "rate": loose, "flops": macs})


SHORT_RUN = (
    Change(
        "a cosine falls all the way, however few the epochs are",
        in_routed_phases(lambda phase: replace(phase, schedule=Cosine())),
    ),
    Change("a short run", lambda recipe: recipe.with_epochs(6.0)),
    Change("few epochs of large batches are few steps", lambda r: replace(r, batch_size=64)),
)
"""Length, schedule and batch size of a short run, of any network."""

short = Variant(
    "short",
    (
        *SHORT_RUN,
        HELD,
        HE_START,
        SLOW_ROUTERS,
        annealed(SHORT_ANNEALING, _FADING),
        Change("in six epochs one rate for every block costs accuracy", _shared),
    ),
)
"""For six epochs of CIFAR on a small network."""

finetuned = Variant(
    "finetuned",
    (
        Change(
            "weights that are trained already are kept by few epochs at a low rate",
            lambda recipe: replace(
                in_routed_phases(lambda phase: replace(phase, schedule=Cosine()))(recipe),
                batch_size=128,
                optimizer=SGD(learning_rate=0.02, nesterov=True, weight_decay=5e-4),
                start=f"static-{recipe.model.partition('-')[2]}",
            ).with_epochs(4.0),
        ),
    ),
)
"""From weights of the static network, which ``--init`` reads, on CIFAR: four epochs."""
