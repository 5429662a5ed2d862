"""What stands beside a routed network, at its cost: the same paths for all images, or any."""

from dataclasses import replace

from dyncore.campaigns._result import Result
from dyncore.recipes import Phase, Recipe, without_routers


def as_subnet(recipe: Recipe, result: Result) -> Recipe:
    """The recipe of a static network, with only the paths that ``result`` ran most.

    Raises ValueError for a network with routers.
    """
    if recipe.network.gate is not None:
        raise ValueError(
            f"recipe {recipe.name!r} has routers: a frozen subnet is a static network's; give the "
            "static recipe of the same backbone"
        )
    return replace(recipe, network=replace(recipe.network, frozen=most_run(result)))


def most_run(result: Result) -> tuple[bool, ...]:
    """Whether each path is kept: the most-run ones, as many as come nearest to its mean MACs.

    What its routers cost may be spent on paths.
    """
    paths, macs = result.paths, result.macs
    if not macs:
        raise ValueError(
            f"the result of {result.run}-s{result.seed} does not say what its paths cost: delete "
            "it, and run it again"
        )
    kept = [not gated for gated in paths["gated"]]
    left = macs["mean"] - macs["always"] + macs["routers"]
    by_rate = sorted(
        (n for n, gated in enumerate(paths["gated"]) if gated), key=lambda n: -paths["rate"][n]
    )
    for n in by_rate:
        if abs(left - paths["macs"][n]) >= abs(left):
            break
        kept[n] = True
        left -= paths["macs"][n]
    return tuple(kept)


def at_random(recipe: Recipe, result: Result) -> Recipe:
    """The recipe with routing at random, at the rates of ``result``, in all of its phases."""

    def drawn(phase: Phase) -> Phase:
        rates, parts = tuple(result.paths["rate"]), without_routers(recipe)
        return replace(phase, paths="uniform", rates=rates, objective=parts)

    return replace(recipe, phases=tuple(drawn(phase) for phase in recipe.phases))
