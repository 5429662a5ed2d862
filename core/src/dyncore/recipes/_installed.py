"""The installed recipes by name."""

from contextlib import suppress
from difflib import get_close_matches

from dyncore.parts import RegistryError, look_up, package_in, registered
from dyncore.recipes._means import with_means
from dyncore.recipes._print import Print
from dyncore.recipes._recipe import Recipe


def recipes() -> dict[str, Recipe]:
    """Every installed recipe by name. Raises RegistryError if two packages claim a name."""
    found: dict[str, Recipe] = {}
    owner: dict[str, str] = {}
    for entry, package in registered("recipes").items():
        for name, recipe in package.items():
            other = owner.setdefault(name, entry)
            if other != entry:
                raise RegistryError(
                    f"the entry points {other!r} and {entry!r} of dyncore.recipes both have a "
                    f"recipe {name!r}: uninstall one of the packages"
                )
            found[name] = recipe
    return found


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; behind it may stand ``+MEANS`` of :data:`MEANS`, one or several.

    Raises ValueError for an unknown one: with the nearest names, or with the package to install.
    """
    known = recipes()
    name, *means = name.split("+")
    if name in known:
        return with_means(known[name], means) if means else known[name]
    try:
        look_up("methods", name.partition("-")[0])
    except ValueError as error:
        raise ValueError(f"unknown recipe {name!r}: {error}") from None
    near = get_close_matches(name, known, n=5, cutoff=0.5)
    advice = f"did you mean {', '.join(near)}? " if near else ""
    raise ValueError(f"unknown recipe {name!r}; {advice}'dyn list recipes' shows all")


def find_print(recipe: str) -> Print | None:
    """What the package of an installed recipe says of its settings; None: nothing."""
    plain = recipe.partition("+")[0]
    for entry, package in registered("recipes").items():
        if plain in package:
            with suppress(FileNotFoundError):
                return Print.of(package_in("recipes", entry))
    return None
