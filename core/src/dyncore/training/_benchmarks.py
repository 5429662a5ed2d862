"""The data sets of the papers, and recipes named after them."""

from dataclasses import dataclass, replace

from dyncore.backbones import backbone_config
from dyncore.data import CropFlip, RandomResizedCropFlip
from dyncore.gating import GateConfig, RouterConfig
from dyncore.objectives import ExecutionRateConfig, FlopsRatioConfig, ObjectiveConfig
from dyncore.registry import Method
from dyncore.training._recipe import SGD, Phase, Recipe, Source
from dyncore.training._schedule import Annealing, Cosine, Steps


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A data set under the short name that recipe names use."""

    dataset: str
    """Hub id, or ``digits``."""
    num_classes: int
    """Number of classes."""
    augmentation: CropFlip | RandomResizedCropFlip
    """What its training images go through."""


BENCHMARKS = {
    "cifar10": Benchmark(dataset="uoft-cs/cifar10", num_classes=10, augmentation=CropFlip()),
    "cifar100": Benchmark(dataset="uoft-cs/cifar100", num_classes=100, augmentation=CropFlip()),
    "imagenet": Benchmark(
        dataset="ILSVRC/imagenet-1k", num_classes=1000, augmentation=RandomResizedCropFlip()
    ),
    "digits": Benchmark(
        dataset="digits", num_classes=10, augmentation=CropFlip(padding=1, flip=False)
    ),
}


def _steps(epochs: float, *milestones: float) -> Phase:
    return Phase(
        name="train", epochs=epochs, schedule=Steps(milestones=milestones), annealing=Annealing()
    )


SHORT_ANNEALING = Annealing(start=16.0, end=0.12, until=0.95, fade=0.6)
"""Temperature and noise of ResNet-20's gates (ours): a gate that is cold while the learning rate is
high swings, and noise that stays to the end trains other paths than evaluation runs
(docs/results.md). Digits have a seventh of the steps, and start at 8."""

STEP_PHASES = {
    "cifar10": _steps(320.0, 150.0, 250.0),
    "cifar100": _steps(320.0, 150.0, 250.0),
    "imagenet": _steps(90.0, 30.0, 60.0),
    "digits": replace(_steps(30.0, 20.0, 26.0), annealing=replace(SHORT_ANNEALING, start=8.0)),
}
"""The main phase of RDI-Net's set-up by benchmark (epochs: RDI-Net section 4.1; milestones, which
it does not print: SP-Net section 4.2; digits and the gates' temperature: ours)."""

SMALL = "resnet20-cifar"
"""The network that no paper trains: its recipes are for short runs, with a batch of 64 and a cosine
(ours)."""

LOOSE_RATES = ExecutionRateConfig(target=0.0, tolerance=0.35, weight=10.0, leak=0.01)
TIGHT_MACS = FlopsRatioConfig(target=0.0, weight=40.0)
"""Budgets of its recipes for CIFAR, where the papers have one rate for every block (ours): the
network meets the target, and its blocks share it as they learn to. One rate for all costs more than
twice as much accuracy in six epochs (docs/results.md)."""

GATED_SGD = SGD(router_learning_rate=0.01)
"""Routers and gates learn slower than blocks (ours): at one rate their decisions swing."""


def make_recipe(
    method: Method,
    backbone: str,
    benchmark: str,
    *,
    source: Source,
    objective: dict[str, ObjectiveConfig],
    phases: tuple[Phase, ...],
    optimizer: SGD | None = None,
    batch_size: int | None = None,
    paths: int = 1,
    router: RouterConfig | None = None,
    gate: GateConfig | None = None,
    budget: float | None = None,
    variant: str = "",
) -> Recipe:
    """A recipe named by the grammar ``<method>-<backbone>[-nN]-<dataset>[-bBUDGET][-VARIANT]``.

    ``router`` and ``gate`` replace the method's own; ``budget`` and ``variant`` only name. The
    batch size is 256, for ResNet-20 64, whose routed phases follow a cosine.
    """
    data, small = BENCHMARKS[benchmark], backbone == SMALL
    suffix = f"-n{paths}" if paths > 1 else ""
    network = method.configure(backbone_config(backbone), paths, data.num_classes)
    name = f"{method.name}-{backbone.removesuffix('-cifar')}{suffix}-{benchmark}"
    name += f"-b{budget:g}" if budget is not None else ""
    name += f"-{variant}" if variant else ""
    return Recipe(
        name=name,
        source=source,
        model=f"{method.name}-{backbone}{suffix}",
        network=replace(network, router=router or network.router, gate=gate or network.gate),
        dataset=data.dataset,
        objective=_short(objective) if small and benchmark.startswith("cifar") else objective,
        phases=tuple(_small(phase) for phase in phases) if small else phases,
        batch_size=batch_size or (64 if small else 256),
        optimizer=optimizer or SGD(),
        augmentation=data.augmentation,
    )


def _small(phase: Phase) -> Phase:
    if phase.paths == "uniform":
        return phase
    annealing = SHORT_ANNEALING if phase.annealing == Annealing() else phase.annealing
    return replace(phase, schedule=Cosine(), annealing=annealing)


def _short(objective: dict[str, ObjectiveConfig]) -> dict[str, ObjectiveConfig]:
    rate = objective.get("rate")
    if not isinstance(rate, ExecutionRateConfig):
        return objective
    return {
        **objective,
        "rate": replace(LOOSE_RATES, target=rate.target),
        "flops": replace(TIGHT_MACS, target=rate.target),
    }
