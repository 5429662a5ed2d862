"""What the installed packages register."""

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any

PACKAGES = {name: f"dyn-{name}" for name in ("cdb", "dmnn", "rdinet", "spnet", "lcnet")}
"""The method packages of this project, for advice when one is not installed."""


class RegistryError(RuntimeError):
    """Two packages claim one name, or a package that registers something cannot be imported."""


def package_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


def _declared(group: str) -> dict[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"dyncore.{group}"):
        other = points.setdefault(point.name, point)
        if (package_of(other), other.value) != (package_of(point), point.value):
            raise RegistryError(
                f"{package_of(other)} and {package_of(point)} both register {group[:-1]} "
                f"{point.name!r}: uninstall one of them"
            )
    return points


@functools.cache
def registered(group: str) -> dict[str, Any]:
    """Every object registered under ``dyncore.<group>``, by name.

    Groups are ``methods``, ``recipes``, ``backbones``, ``routers``, ``gates``, ``objectives``.
    Raises :class:`RegistryError`, naming the package, for a name claimed twice or an import that
    fails.
    """
    loaded = {}
    for name, point in sorted(_declared(group).items()):
        try:
            loaded[name] = point.load()
        except Exception as error:
            raise RegistryError(
                f"package {package_of(point)} registers {group[:-1]} {name!r}, but loading "
                f"{point.value} failed: {type(error).__name__}: {error}; "
                f"reinstall or uninstall {package_of(point)}"
            ) from error
    return loaded


def package_in(group: str, name: str) -> str:
    """The importable package of what is registered under ``dyncore.<group>`` by this name."""
    return _declared(group)[name].module.rpartition(".")[0]


def look_up(group: str, name: str, *, saved_with: str = "") -> Any:
    """What is registered under ``dyncore.<group>`` by this name.

    ``saved_with``: the packages that were there when a model with this part was saved. Raises
    ValueError for a name that nothing registers: what is known, and what to install.
    """
    found = registered(group)
    if name in found:
        return found[name]
    package = (PACKAGES.get(name) if group == "methods" else None) or saved_with
    advice = f"; install it with: pip install {package}" if package else ""
    known = ", ".join(found) or "none"
    raise ValueError(f"unknown {group[:-1]} {name[:100]!r}{advice}; installed {group}: {known}")
