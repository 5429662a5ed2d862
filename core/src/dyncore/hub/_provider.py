"""Which installed package a part comes from."""

from importlib.metadata import entry_points


def provider(part: type) -> tuple[str, str] | None:
    """(distribution, version) that registers a part of this class, if one does."""
    module = part.__module__.partition(".")[0]
    for group in entry_points().groups:
        if not group.startswith("dyncore."):
            continue
        for point in entry_points(group=group):
            if point.dist is not None and point.module.partition(".")[0] == module:
                return point.dist.name, point.dist.version
    return None
