"""The installed recipes by name."""

from difflib import get_close_matches

from dyncore.registry import RegistryError, registered
from dyncore.training._recipe import Recipe


def recipes() -> dict[str, Recipe]:
    """Every installed recipe by name. Raises RegistryError if two packages claim a name."""
    found: dict[str, Recipe] = {}
    for package in registered("recipes").values():
        if clash := found.keys() & package.keys():
            raise RegistryError(f"two packages register the recipes {sorted(clash)}")
        found |= package
    return found


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ValueError with the nearest names for an unknown one."""
    known = recipes()
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=5, cutoff=0.5)
    method = name.partition("-")[0]
    advice = f"did you mean {', '.join(near)}?" if near else ""
    if method not in registered("methods"):
        advice = f"is the package of method {method!r} installed (pip install dyn-{method})?"
    raise ValueError(f"unknown recipe {name!r}; {advice} 'dyn list recipes' shows all")
