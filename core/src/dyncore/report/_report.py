"""All figures of some evaluations, as a page and as files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dyncore.data import Dataset, superclass_names, superclasses
from dyncore.files import replacing
from dyncore.report._cost import (
    accuracy_against_macs,
    accuracy_against_time,
    accuracy_by_decile,
    accuracy_over_seeds,
    cost_histogram,
)
from dyncore.report._drawing import Drawing, rounded
from dyncore.report._latency import time_engines
from dyncore.report._page import page
from dyncore.report._pictures import Look, easy_and_hard, shared_paths
from dyncore.report._printed import PrintedRow
from dyncore.report._rates import Kinds, channel_rates, path_rates, rates_side_by_side
from dyncore.report._subject import Subject, series_of

PAGE = "index.html"
FIGURES = "figures"

Sections = list[tuple[str, list[Drawing]]]


def write_report(
    subjects: Sequence[Subject],
    folder: str | os.PathLike[str],
    *,
    dataset: Dataset | None = None,
    categories: str | None = None,
    printed: Sequence[PrintedRow] = (),
) -> Path:
    """Write ``index.html``, which holds all figures, and each as PNG and SVG in ``figures/``.

    With ``dataset``, the one that was evaluated, images are shown beside what was decided about
    them. ``categories`` (see :func:`dyncore.data.superclasses`) stand in place of classes. Returns
    the page. Raises ValueError for other data than was evaluated.
    """
    target = Path(folder)
    look = None if dataset is None else _look(dataset, subjects)
    classes = class_names(subjects, dataset)
    sections = _sections(subjects, kinds_of(classes, categories), printed)
    if look is not None:
        sections.append(("Images", list(_images(subjects, classes, look))))
    (target / FIGURES).mkdir(parents=True, exist_ok=True)
    for _, drawings in sections:
        for drawing in drawings:
            drawing.save(target / FIGURES)
    about = subjects[0].evaluation.about
    title = f"Report on {about.dataset}" if about.dataset else "Report"
    images = len(subjects[0].evaluation.label)
    summary = f"{len(subjects)} evaluation{'s' * (len(subjects) > 1)} of {images:,} images"
    with replacing(target / PAGE) as temporary:
        text = page(title, summary, sections, summary_rows(subjects))
        temporary.write_text(text, encoding="utf-8")
    return target / PAGE


def timed(subjects: Sequence[Subject], dataset: Dataset) -> list[Subject]:
    """The same subjects with the measured milliseconds of those whose model is there."""
    models = {s.name: s.model for s in subjects if s.model is not None}
    found = time_engines(models, dataset)
    return [replace(subject, milliseconds=found.get(subject.name)) for subject in subjects]


def summary_rows(subjects: Sequence[Subject]) -> list[list[str]]:
    """The head and a row per subject."""
    measured = any(subject.milliseconds is not None for subject in subjects)
    head = ["model", "accuracy", "MACs", "of static", "execution rate", "paths taken"]
    rows = [[*head, "ms"] if measured else head]
    for subject in subjects:
        evaluation = subject.evaluation
        rows.append(
            [
                subject.name,
                f"{100 * evaluation.accuracy:.2f} %",
                rounded(evaluation.mean_macs),
                f"{100 * evaluation.macs_ratio:.1f} %",
                f"{evaluation.execution_rate:.3f}",
                f"{len(evaluation.path_counts):,}",
            ]
        )
        if measured:
            time = subject.milliseconds
            rows[-1].append("–" if time is None else f"{time:.2f}")
    return rows


def class_names(subjects: Sequence[Subject], dataset: Dataset | None) -> tuple[str, ...]:
    """As far as anybody knows them, else their numbers."""
    evaluations = [subject.evaluation for subject in subjects]
    count = 1 + int(max(max(e.label.max(), e.prediction.max()) for e in evaluations))
    known = evaluations[0].about.classes if dataset is None else dataset.classes
    return known if len(known) >= count else tuple(map(str, range(count)))


def kinds_of(classes: tuple[str, ...], categories: str | None) -> Kinds:
    """The categories, if there are any, else the classes."""
    if categories is None:
        return Kinds("class", classes, np.arange(len(classes)))
    of_label = superclasses(categories)
    if len(classes) != len(of_label):
        raise ValueError(
            f"superclasses {categories!r} are of {len(of_label)} classes, the evaluation has "
            f"{len(classes)}"
        )
    return Kinds("superclass", superclass_names(categories), np.array(of_label))


def _sections(subjects: Sequence[Subject], kinds: Kinds, printed: Sequence[PrintedRow]) -> Sections:
    dynamic = [subject for subject in subjects if subject.decides]
    cost = [accuracy_against_macs(subjects, printed)]
    if any(subject.milliseconds is not None for subject in subjects):
        cost.append(accuracy_against_time(subjects))
    if any(len(runs) > 1 for runs in series_of(subjects).values()):
        cost.append(accuracy_over_seeds(subjects))
    images = [cost_histogram(dynamic), accuracy_by_decile(dynamic)] if dynamic else []
    return [
        ("Accuracy and cost", cost),
        ("From image to image", images),
        ("What runs when", list(_rates(dynamic, kinds))),
    ]


def _rates(dynamic: Sequence[Subject], kinds: Kinds) -> Iterator[Drawing]:
    by_blocks: dict[int, list[Subject]] = {}
    for subject in dynamic:
        by_blocks.setdefault(len(subject.evaluation.block_rates), []).append(subject)
    yield from map(rates_side_by_side, by_blocks.values())
    for number, subject in enumerate(dynamic, 1):
        yield path_rates(subject, kinds, number)
        if subject.evaluation.channel_blocks is not None:
            yield channel_rates(subject, kinds, number)


def _images(subjects: Sequence[Subject], classes: Sequence[str], look: Look) -> Iterator[Drawing]:
    for number, subject in enumerate(filter(lambda subject: subject.decides, subjects), 1):
        yield easy_and_hard(subject, classes, look, number)
        yield shared_paths(subject, look, number)


def _look(dataset: Dataset, subjects: Sequence[Subject]) -> Look:
    split, evaluation = dataset.test, subjects[0].evaluation
    if split is None:
        raise ValueError(f"data set {dataset.name!r} has no test or validation split")
    labels = split.labels.numpy()
    if len(labels) != len(evaluation.label) or (labels != evaluation.label).any():
        raise ValueError(
            f"the test split of {dataset.name!r} ({len(labels)} images) is not what was evaluated "
            f"({len(evaluation.label)} images): their labels differ"
        )
    return lambda rows: split.look(rows, dataset.preprocessing)
