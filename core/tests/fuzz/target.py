"""What a loader is to the fuzzer, and what targets of several kinds of files share."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import damage

Kind = tuple[Callable[[Random, Any], Any], bool]
"""A way to damage, and whether what it makes must always be refused."""


@dataclass(frozen=True)
class Target:
    """A loader."""

    error: type[Exception]
    """The one documented type of exception."""
    prepare: Callable[[Path], Any]
    """Makes what is whole in an empty folder; what it returns goes to the others."""
    kinds: dict[str, Kind]
    damage: Callable[[Any, Path, Callable[[Random, Any], Any], Random], Path]
    """Writes a damaged input into an empty folder; where it is."""
    read: Callable[[Path], object]


def changed(file: Path, change: Any, random: Random, as_json: bool) -> None:
    whole = file.read_bytes()
    value = change(random, json.loads(whole) if as_json else whole)
    if as_json and not isinstance(value, str):
        value = dumps(value)
    file.write_bytes(value if isinstance(value, bytes) else value.encode("utf-8", "replace"))


def dumps(value: Any) -> str:
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value)
    finally:
        sys.set_int_max_str_digits(4300)


def surely(kinds: dict[str, Any]) -> dict[str, Kind]:
    """Damage that must be refused."""
    return {name: (change, True) for name, change in kinds.items()}


def perhaps(kinds: dict[str, Any]) -> dict[str, Kind]:
    """Damage that may leave, or make, something that is valid."""
    return {name: (change, False) for name, change in kinds.items()}


CERTAIN = ("nested deeply", "key twice", "number not finite")
JSON_KINDS = {name: (change, name in CERTAIN) for name, change in damage.JSON.items()}
JSON_BYTES = perhaps(damage.BYTES | {"encoding": damage.encoded}) | surely(
    {"truncated": lambda random, data: damage.truncated(random, data.rstrip())}
)
