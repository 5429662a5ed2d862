"""A campaign: a TOML file of runs.

::

    about = "ResNet-32 at the cost of ResNet-20"
    seeds = [0, 1, 2]                # of every run that has none of its own
    options = "--epochs 4"           # of every run, as on the command line after the recipe

    [models]                         # folders that are given with --models NAME=FOLDER
    public32 = "ResNet-32 with public weights"

    [runs.static]
    recipe = "static-resnet32-cifar10"
    options = "--batch-size 128"     # after those of every run
    init = "public32"                # a model, or another run: that of the same seed

    [runs.vanilla]
    recipe = "vanilla-resnet32-cifar10-b0.6"
    seeds = [0]
    init = "static"                  # waits for it

    [runs.vanilla-subnet]            # what stands beside a run, at its cost
    recipe = "static-resnet32-cifar10"
    subnet_of = "vanilla"            # only its most-run paths, for every image

    [runs.vanilla-random]
    recipe = "vanilla-resnet32-cifar10-b0.6"
    rates_of = "vanilla"             # random paths, at its rates

    [runs.vanilla-taught]
    recipe = "vanilla-resnet32-cifar10-b0.6+taught"
    teacher = "static"               # a model, or another run
"""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyncore.files import check_folder_name, printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OURS = ("--data", "--output", "--name", "--seed", "--resume", "--init")
"""Options that the command, and the file's own fields, set."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is run with several seeds."""

    name: str
    """Its key in the file."""
    recipe: str
    """Name of the recipe."""
    options: tuple[str, ...]
    """What changes the recipe and the run, as words of the command line."""
    seeds: tuple[int, ...]
    init: str | None = None
    """Whose backbone's weights are the start: a model's name, or another entry's."""
    teacher: str | None = None
    """Who teaches: a model's name, or another entry's."""
    subnet_of: str | None = None
    """The entry whose most-run paths are all that there is, at its mean MACs."""
    rates_of: str | None = None
    """The entry at whose rates random paths are taken, in training and in evaluation."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models and entries whose weights it reads."""
        return tuple(name for name in (self.init, self.teacher) if name is not None)

    @property
    def donors(self) -> tuple[str, ...]:
        """The models and entries that it needs."""
        others = (self.subnet_of, self.rates_of)
        return (*self.models, *(name for name in others if name is not None))


@dataclass(frozen=True)
class Run:
    """One seed of an entry."""

    entry: Entry
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and of its result."""
        return f"{self.entry.name}-s{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The runs of a file."""

    name: str
    """The file's, without its ending."""
    about: str
    models: Mapping[str, str]
    """What the models are that the command line gives, by name."""
    entries: Mapping[str, Entry]

    @classmethod
    def load(cls, file: Path) -> "Campaign":
        """Read a campaign. Raises ValueError for what the module's grammar does not know."""
        if not file.is_file():
            raise FileNotFoundError(f"no campaign {str(file)!r}: give a TOML file of runs")
        try:
            return _campaign(file.stem, tomllib.loads(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    @property
    def runs(self) -> tuple[Run, ...]:
        """All of them: the first seed of every entry, then the second of each, and so on."""
        placed = [
            (place, number, Run(entry, seed))
            for number, entry in enumerate(self.entries.values())
            for place, seed in enumerate(entry.seeds)
        ]
        return tuple(run for *_, run in sorted(placed, key=lambda found: found[:2]))

    def donor(self, run: Run, name: str) -> Run | None:
        """The run of the entry ``name`` that ``run`` needs; None: a model of that name.

        It has the same seed, or the only one that the entry has.
        """
        if name in self.models:
            return None
        entry = self.entries[name]
        return Run(entry, run.seed if run.seed in entry.seeds else entry.seeds[0])

    def needs(self, run: Run) -> tuple[Run, ...]:
        """The runs that have to be done before."""
        found = (self.donor(run, name) for name in run.entry.donors)
        return tuple(donor for donor in found if donor is not None)


def _campaign(name: str, found: dict[str, Any]) -> Campaign:
    check_folder_name("campaign", name)
    about = _take(found, "about", str, "")
    seeds = _take(found, "seeds", list, [0])
    options = _take(found, "options", str, "")
    models = _take(found, "models", dict, {})
    runs = _take(found, "runs", dict, {})
    _nothing_left(found, "the file")
    if not runs:
        raise ValueError("it has no runs: add [runs.NAME] with a recipe")
    entries = {
        key: _entry(key, dict(run) if isinstance(run, dict) else {}, seeds, options)
        for key, run in runs.items()
    }
    campaign = Campaign(name=name, about=about, models=models, entries=entries)
    for key in models:
        if not isinstance(models[key], str) or key in entries:
            raise ValueError(f"models.{key} must be text, and no run may have its name")
    for entry in entries.values():
        _check_donors(campaign, entry)
    return campaign


def _entry(name: str, found: dict[str, Any], seeds: list[Any], options: str) -> Entry:
    where = f"runs.{name}"
    check_folder_name(where, name)
    try:
        recipe = _take(found, "recipe", str)
        words = (*_words(options), *_words(_take(found, "options", str, "")))
        own = _take(found, "seeds", list, seeds)
        others = {
            key: _take(found, key, str, None)
            for key in ("init", "teacher", "subnet_of", "rates_of")
        }
        _nothing_left(found, "a run")
        if not own or len(set(own)) < len(own) or any(type(seed) is not int for seed in own):
            raise ValueError(f"seeds must be different whole numbers, at least one, not {own}")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return Entry(name=name, recipe=recipe, options=words, seeds=tuple(own), **others)


def _take(found: dict[str, Any], key: str, kind: type, *default: Any) -> Any:
    if key not in found and default:
        return default[0]
    value = found.pop(key, None)
    if not isinstance(value, kind):
        kinds: dict[type, str] = {str: "text", list: "a list", dict: "a table"}
        raise ValueError(f"{key} must be {kinds[kind]}, not {printable(repr(value))}")
    return value


def _nothing_left(found: dict[str, Any], where: str) -> None:
    if found:
        raise ValueError(f"{where} has no field {', '.join(map(repr, found))}")


def _words(options: str) -> list[str]:
    words = shlex.split(options)
    for word in words:
        if (option := word.partition("=")[0]) in OURS:
            instead = "the field init" if option == "--init" else "the command 'dyn reproduce'"
            raise ValueError(f"options: {option} is set by {instead}")
    return words


def _check_donors(campaign: Campaign, entry: Entry) -> None:
    """Raises ValueError for one that is not there, that lacks a seed, or that waits for itself."""
    for name in entry.donors:
        if name in campaign.models:
            if name not in entry.models:
                raise ValueError(f"runs.{entry.name}: {name!r} is a model, not a run")
            continue
        if name not in campaign.entries:
            known = ", ".join([*campaign.models, *campaign.entries])
            raise ValueError(f"runs.{entry.name}: there is no {name!r} among {known}")
        seeds = campaign.entries[name].seeds
        if len(seeds) > 1 and (missing := sorted({*entry.seeds} - {*seeds})):
            raise ValueError(f"runs.{entry.name}: {name!r} has no seed {missing[0]}")
    waiting, seen = list(entry.donors), set()
    while waiting:
        name = waiting.pop()
        if name == entry.name:
            raise ValueError(f"runs.{entry.name} waits for itself")
        if name in campaign.entries and name not in seen:
            seen.add(name)
            waiting += campaign.entries[name].donors
