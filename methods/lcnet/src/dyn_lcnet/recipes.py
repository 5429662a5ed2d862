"""LC-Net's training set-ups: one per trained model of Tables 1 and 2, and ours.

The paper holds no budget; recipes with one are ours. So are the variants ``l-only`` and
``c-only``, an ablation that it lacks.
"""

from collections.abc import Iterator
from dataclasses import replace

from dyn_lcnet.losses import ExecutedFlopsConfig, SalienceL1Config
from dyn_lcnet.method import METHOD
from dyncore.blocks import Granularity
from dyncore.gating import ReLU1GateConfig
from dyncore.network import DynamicConfig
from dyncore.objectives import CrossEntropyConfig, ObjectiveConfig
from dyncore.training import SGD, Phase, Recipe, Source, Steps, make_recipe

PHASES = {
    "cifar10": Phase(name="train", epochs=270.0, schedule=Steps(milestones=(90.0, 180.0))),
    "imagenet": Phase(name="train", epochs=120.0, schedule=Steps(milestones=(30.0, 60.0, 90.0))),
    "digits": Phase(name="train", epochs=30.0, schedule=Steps(milestones=(10.0, 20.0))),
}
"""Section 4.2; digits: ours, in thirds as on CIFAR-10."""

OPTIMIZERS = {
    "cifar10": SGD(learning_rate=0.01, nesterov=True, weight_decay=5e-4),
    "imagenet": SGD(
        learning_rate=0.005, router_learning_rate=1e-5, nesterov=True, weight_decay=5e-4
    ),
    "digits": SGD(learning_rate=0.05, nesterov=True, weight_decay=5e-4),
}
"""Section 4.2: on ImageNet L-Net and C-Net learn at a rate of their own; digits: ours."""

BATCH_SIZES = {"cifar10": 96, "imagenet": 256, "digits": 96}
"""Section 4.2; digits: ours."""

L1_WEIGHT = 1e-4
"""Weight of the L1 term: not printed, ours."""

NOT_PRINTED = "augmentation: CDB section 4; leak 0.01 and initial bias 1 of L-Net and C-Net: ours"
START = (
    f"start: --init FOLDER of a trained static model; schedule, rate and batch: Table 1, LC-Net; "
    f"weight {L1_WEIGHT:g} of the L1 term, everything trains: ours; {NOT_PRINTED}"
)
HELD = f"FLOPs loss on executed MACs, its target and weight: ours; {NOT_PRINTED}"
SMALL = "LC-Net's set-up on a smaller network"


def _both(network: DynamicConfig) -> DynamicConfig:
    return network


def _l_only(network: DynamicConfig) -> DynamicConfig:
    return replace(network, granularity=Granularity())


def _c_only(network: DynamicConfig) -> DynamicConfig:
    return replace(network, gate=ReLU1GateConfig(blocks=False))


SWITCHES = {"l-only": _l_only, "c-only": _c_only}
"""Variants without C-Net, and without L-Net."""


def _recipe(
    backbone: str,
    benchmark: str,
    source: Source,
    *,
    budget: float | None = None,
    l1: float | None = None,
    switch: str = "",
) -> Recipe:
    objective: dict[str, ObjectiveConfig] = {"classification": CrossEntropyConfig()}
    if budget is not None:
        objective["flops"] = ExecutedFlopsConfig(target=budget)
    if l1 is not None:
        objective["l1"] = SalienceL1Config(weight=l1)
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=source,
        objective=objective,
        phases=(PHASES[benchmark],),
        optimizer=OPTIMIZERS[benchmark],
        batch_size=BATCH_SIZES[benchmark],
        budget=budget,
        variant="-".join(part for part in ("pretrained" if l1 else "", switch) if part),
    )
    return replace(recipe, network=SWITCHES.get(switch, _both)(recipe.network))
