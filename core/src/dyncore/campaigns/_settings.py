"""Whether a recorded run is the one that a campaign asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any

from dyncore.campaigns._campaign import Entry
from dyncore.recipes import Recipe
from dyncore.training import Arguments


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run's result follows from, beside its seed and the data."""

    recipe: Recipe
    """At the length at which it runs."""
    init: str | None
    """Name of the model or of the entry that it starts from."""
    precision: str
    accumulate: int
    sync_batch_norm: bool
    teacher: str | None = None
    """Name of the model or of the entry that teaches it."""

    @classmethod
    def of(cls, arguments: Arguments, entry: Entry) -> "Settings":
        recipe, run = arguments.recipe, arguments.run
        return cls(
            recipe=recipe if run.epochs is None else recipe.with_epochs(run.epochs),
            init=entry.init,
            teacher=entry.teacher,
            precision=run.precision,
            accumulate=run.accumulate,
            sync_batch_norm=run.sync_batch_norm,
        )


def changes(now: Any, then: Any, option: str = "") -> Iterator[str]:
    """What a configuration ``now`` sets otherwise than its record ``then``, which is JSON types.

    Reads ``option = new (old)``. A field that the record lacks was added since, and meant its
    default then, or what the part says of its absence. A recipe's name and source are not compared,
    nor which model it has to start from: what it did start from is.
    """
    if is_dataclass(now) and isinstance(then, Mapping):
        yield from _fields(now, then, option)
    elif isinstance(now, Mapping) and isinstance(then, Mapping) and now.keys() == then.keys():
        for name in now:
            yield from changes(now[name], then[name], _inner(option, name))
    elif isinstance(now, tuple) and isinstance(then, list) and len(now) == len(then):
        for number, pair in enumerate(zip(now, then, strict=True)):
            yield from changes(*pair, _inner(option, str(number)))
    elif now != then:
        yield f"{option} = {_short(now)} ({_short(then)})"


def _fields(now: Any, then: Mapping[str, Any], option: str) -> Iterator[str]:
    known = {field.name: field for field in fields(now)}
    kind = getattr(now, "name", None)  # of a part that is found by name, it is no field
    if "name" not in known and kind != then.get("name"):
        yield f"{option} = {_short(kind)} ({_short(then.get('name'))})"
        return
    if gone := sorted(then.keys() - known.keys() - {"name"}):
        yield f"{option} has no {', '.join(gone)} any more"
    for name, field in known.items():
        if isinstance(now, Recipe) and name in ("name", "source", "start"):
            continue
        if name == "bias_before_norm" and name not in then:  # the norm takes it away: no matter
            continue
        value, inner = getattr(now, name), _inner(option, name)
        if name in then:
            yield from changes(value, then[name], inner)
        elif value != _when_absent(now, field):
            yield f"{inner} = {_short(value)} (not recorded)"


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _when_absent(now: Any, field: "Field[Any]") -> Any:
    absent = getattr(now, "when_absent", {})
    return absent.get(field.name, _default(field))


def _inner(option: str, name: str) -> str:
    return f"{option}.{name}".removeprefix(".")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
