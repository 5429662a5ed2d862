"""Rows that the papers print, read from ``paper_tables/``."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from dyncore.parts import decode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Dataset: TypeAlias = Literal["cifar10", "cifar100", "imagenet"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A printed row."""

    label: str
    """As printed."""
    model: str | None = None
    """Our static model; for rows of backbones."""
    recipe: str | None = None
    """Our recipe; for rows of the authors' models."""
    params: float | None = None
    """Millions of parameters."""
    cost: float | None = None
    """In 10⁹ of the paper's unit."""
    target: float | None = None
    """Target rate."""
    error: float | None = None
    """Top-1 error in percent."""
    accuracy: float | None = None
    """Top-1 accuracy in percent."""
    reasons: tuple[str, ...] = ()
    """Why ours differs: keys of the paper's reasons."""
    judged: bool = True
    """Whether its parameters must be ours."""

    def __post_init__(self) -> None:
        if (self.model is None) == (self.recipe is None):
            raise ValueError(f"row {self.label!r} must have either model or recipe")
        if (self.error is None) == (self.accuracy is None):
            raise ValueError(f"row {self.label!r} must have either error or accuracy")
        if not self.judged and not self.reasons:
            raise ValueError(f"row {self.label!r} is not judged: its reasons must say why")


@dataclass(frozen=True, kw_only=True)
class PrintedTable:
    """The rows of a table, or the points of a figure that the text prints, on one data set."""

    name: str
    """Which table or figure."""
    dataset: Dataset
    """Its short name in recipes."""
    rows: tuple[Row, ...]
    """In printed order."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What a paper prints of its own models and their backbones."""

    paper: str
    """Its short name in recipes."""
    unit: str
    """What it calls 10⁹ of its costs."""
    per_mac: int
    """How many of them are a MAC."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why ours differ, by a short key."""
    tables: tuple[PrintedTable, ...]
    """In printed order."""

    def __post_init__(self) -> None:
        used = {key for table in self.tables for row in table.rows for key in row.reasons}
        if unknown := used - set(self.reasons):
            raise ValueError(f"rows name reasons that are not given: {sorted(unknown)}")


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What a static model must cost."""

    model: str
    """Its name."""
    dataset: Dataset
    """Its images and classes."""
    gmacs: float
    """To four decimals."""


@dataclass(frozen=True, kw_only=True)
class Backbones:
    """What all static models must cost."""

    backbones: tuple[Backbone, ...]
    """In any order."""


Content = TypeVar("Content", Paper, Backbones)


def read(file: Path, kind: type[Content]) -> Content:
    """A file as ``kind``. Raises ValueError that names the file and the field."""
    return decode(kind, tomllib.loads(file.read_text(encoding="utf-8")), file.name)
