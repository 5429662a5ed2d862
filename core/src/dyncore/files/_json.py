"""JSON of strangers, read strictly."""

import json
from math import isfinite
from typing import Any

MAX_BYTES = 16 * 2**20
"""A configuration with the names of 100,000 classes is below 10 MB."""
MAX_DEPTH = 32
"""Objects and lists inside one another; a recipe has seven."""


def parse_json(data: bytes) -> Any:
    """The value of a UTF-8 JSON text.

    Raises ValueError for what the JSON grammar or common sense forbids: keys that stand twice, NaN
    and infinite numbers, more than 16 MiB, more than 32 levels.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_constant=_number,
        )
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    level, depth = _containers([value]), 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        level = [inner for outer in level for inner in _containers(outer)]
    return value


def _containers(value: Any) -> list[Any]:
    """The objects and lists directly inside an object or list."""
    inside = value.values() if isinstance(value, dict) else value
    return [inner for inner in inside if isinstance(inner, (dict, list))]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return found


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:80]} is not a finite number")
    return number
