"""Optimiser and schedule by torch's names: ``--optimizer AdamW``, ``--schedule OneCycleLR``."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dyncore.recipes import Recipe, TorchOptimizer, TorchSchedule


def with_torch_names(recipe: Recipe, options: Sequence[str]) -> tuple[Recipe, list[str]]:
    """The recipe with what these two options name, and the options that are left to read.

    A schedule is that of the phases in which gates decide; a router's rate stays in proportion.
    Raises ValueError for what torch does not have, or not with such arguments.
    """
    rest, left = [], list(options)
    while left:
        name, equals, value = left.pop(0).partition("=")
        named = _NAMED.get(name)
        if named is None or not (equals or left):
            rest.append(f"{name}{equals}{value}")
        else:
            recipe = named(recipe, value if equals else left.pop(0))
    return recipe, rest


def _optimizer(recipe: Recipe, call: str) -> Recipe:
    before, optimizer = recipe.optimizer, TorchOptimizer(call=call)
    if before.router_learning_rate is not None:
        share = before.router_learning_rate / before.learning_rate
        optimizer = replace(optimizer, router_learning_rate=share * optimizer.learning_rate)
    return replace(recipe, optimizer=optimizer)


def _schedule(recipe: Recipe, call: str) -> Recipe:
    schedule = TorchSchedule(call=call)
    phases = [
        replace(phase, schedule=schedule) if phase.paths == "routed" else phase
        for phase in recipe.phases
    ]
    return replace(recipe, phases=tuple(phases))


_NAMED: dict[str, Callable[[Recipe, str], Recipe]] = {
    "--optimizer": _optimizer,
    "--schedule": _schedule,
}
