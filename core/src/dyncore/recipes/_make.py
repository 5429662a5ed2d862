"""Recipes named by one grammar."""

from dataclasses import replace

from dyncore.backbones import backbone_config
from dyncore.gating import GateConfig, RouterConfig
from dyncore.objectives import ObjectiveConfig
from dyncore.recipes._benchmarks import BENCHMARKS
from dyncore.recipes._optimizer import SGD
from dyncore.recipes._recipe import Phase, Recipe, Source
from dyncore.registry import Method


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

    It holds what is given here. ``router`` and ``gate`` replace the method's own; ``budget`` and
    ``variant`` only name. The batch size is the benchmark's unless given. A :class:`Variant` of the
    recipe adds its own name at the end.
    """
    data = BENCHMARKS[benchmark]
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
        objective=objective,
        phases=phases,
        batch_size=batch_size or data.batch_size,
        optimizer=optimizer or SGD(),
        augmentation=data.augmentation,
    )
