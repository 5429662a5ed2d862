"""What a report is about: evaluations, and where each comes from."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dyncore.files import parse_json, printable
from dyncore.training import EVALUATION_FILE, MODEL, RECIPE_FILE, Evaluation


@dataclass(frozen=True)
class Subject:
    """One evaluated model."""

    name: str
    """What figures call it; no other subject of a report is called so."""
    series: str
    """What the runs of one recipe with several seeds share."""
    seed: int | None
    """Of the run; None: not known."""
    evaluation: Evaluation
    model: Path | None = None
    """Folder of the saved model, if it lies beside the evaluation."""
    milliseconds: float | None = None
    """Measured per image at batch 1; None: not measured."""

    @property
    def decides(self) -> bool:
        """Whether anything depends on the image."""
        return bool(self.evaluation.gated.any())


def read_subjects(paths: Iterable[str | os.PathLike[str]]) -> list[Subject]:
    """Evaluation files, or folders of runs that hold one, in the order given.

    Raises FileNotFoundError where there is none, ``DataFileError`` for another file, and ValueError
    if they are not all of the same images.
    """
    places = [Path(path) for path in paths]
    subjects = [_read(place) for place in places]
    if not subjects:
        raise ValueError("a report needs at least one evaluation file")
    first = subjects[0].evaluation.label
    for path, subject in zip(places, subjects, strict=True):
        labels = subject.evaluation.label
        if len(labels) != len(first) or (labels != first).any():
            raise ValueError(
                f"{path} ({len(labels)} images) and {places[0]} ({len(first)}) are not of the same "
                "images: their labels differ. Make one report per data set"
            )
    return _told_apart(subjects, places)


def _read(path: Path) -> Subject:
    folder, file = (path, path / EVALUATION_FILE) if path.is_dir() else (path.parent, path)
    if not file.exists():
        raise FileNotFoundError(
            f"{path}: there is no evaluation; give the folder of a run that has ended, or a file "
            "that 'dyn eval' wrote"
        )
    evaluation = Evaluation.load(file)
    own = file.name == EVALUATION_FILE
    name, seed = _recipe_of(folder) if own else (None, None)
    kept = folder / MODEL
    series = name or evaluation.about.name or (folder.resolve().name if own else path.stem)
    return Subject(series, series, seed, evaluation, kept if own and kept.is_dir() else None)


def _recipe_of(folder: Path) -> tuple[str | None, int | None]:
    """Name and seed of the run in this folder, as far as its ``recipe.json`` tells."""
    try:
        recipe = parse_json((folder / RECIPE_FILE).read_bytes())
        return printable(str(recipe["name"])), int(recipe["options"]["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _told_apart(subjects: Sequence[Subject], paths: Sequence[Path]) -> list[Subject]:
    """Subjects with names of their own. Only seeds that differ make a series."""
    counts = Counter(subject.series for subject in subjects)
    seeds: dict[str, set[int | None]] = defaultdict(set)
    for subject in subjects:
        seeds[subject.series].add(subject.seed)
    named = []
    for subject, path in zip(subjects, paths, strict=True):
        series = subject.series
        if counts[series] == 1:
            named.append(subject)
        elif None not in seeds[series] and len(seeds[series]) == counts[series]:
            named.append(replace(subject, name=f"{series}, seed {subject.seed}"))
        else:
            own = f"{series} ({path})"
            named.append(replace(subject, name=own, series=own))
    return named


def series_of(subjects: Iterable[Subject]) -> dict[str, list[Subject]]:
    """The runs of each series, in order of appearance."""
    found: dict[str, list[Subject]] = {}
    for subject in subjects:
        found.setdefault(subject.series, []).append(subject)
    return found
