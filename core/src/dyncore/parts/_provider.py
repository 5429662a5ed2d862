"""Which installed package a part or a method comes from."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points


def provider(part: type) -> tuple[str, str] | None:
    """(distribution, version) that registers a part of this class, if one does."""
    module = part.__module__.partition(".")[0]
    groups = (group for group in entry_points().groups if group.startswith("dyncore."))
    points = (point for group in groups for point in entry_points(group=group))
    return _distribution(point for point in points if point.module.partition(".")[0] == module)


def method_provider(name: str) -> tuple[str, str] | None:
    """(distribution, version) that registers the method ``name``, if one does."""
    return _distribution(iter(entry_points(group="dyncore.methods", name=name)))


def _distribution(points: Iterator[EntryPoint]) -> tuple[str, str] | None:
    found = (point.dist for point in points)
    return next(((dist.name, dist.version) for dist in found if dist is not None), None)
