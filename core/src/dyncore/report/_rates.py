"""How often blocks, paths and channels run, for which images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dyncore.report._drawing import COLOURS, Drawing, drawn, each, legend_below
from dyncore.report._subject import Subject

SHOWN_NAMES = 40
"""More kinds than this get no name each: the letters would overlap."""


@dataclass(frozen=True)
class Kinds:
    """What images are told apart by: their class, or its superclass."""

    word: str
    """``class`` or ``superclass``."""
    names: tuple[str, ...]
    of_label: np.ndarray
    """(class,) the number of each class's kind."""


def rates_side_by_side(subjects: Sequence[Subject]) -> Drawing:
    """Execution rate of each block, a bar per model (RDI-Net, Figure 9).

    The models have the same number of blocks.
    """
    rates = [subject.evaluation.block_rates for subject in subjects]
    blocks = np.arange(len(rates[0]))
    names = [subject.name for subject in subjects]
    with drawn(2.3) as (figure, (axes,)):
        width = 0.8 / len(subjects)
        for index, (name, values) in enumerate(zip(names, rates, strict=True)):
            places = blocks + (index - (len(subjects) - 1) / 2) * width
            axes.bar(places, values, width, color=COLOURS[index % len(COLOURS)], label=name)
        axes.set(xlabel="block", ylabel="execution rate", ylim=(0, 1.02))
        axes.grid(True, axis="y")
        legend_below(figure, len(names), max(map(len, names)))
    said = each(names, lambda index: ", ".join(f"{value:.2f}" for value in rates[index]))
    text = f"Execution rate of each block, from the first to the last. {said}"
    title = "Execution rates" + " side by side" * (len(subjects) > 1)
    return Drawing(f"rates-{len(blocks)}-blocks", title, text, figure)


def path_rates(subject: Subject, kinds: Kinds, number: int) -> Drawing:
    """Execution rate of every decided path by kind (CDB, Figure 6; DMNN, Figure 7)."""
    evaluation = subject.evaluation
    shown = evaluation.path[:, evaluation.gated]
    return _by_kind(
        subject, kinds, shown, evaluation.blocks[evaluation.gated], "paths", f"paths-{number}"
    )


def channel_rates(subject: Subject, kinds: Kinds, number: int) -> Drawing:
    """How often each gated channel runs, by kind (LC-Net, Figure 7)."""
    evaluation = subject.evaluation
    assert evaluation.channels is not None
    assert evaluation.channel_blocks is not None
    # A channel of a block that is off does not run, whatever its own gate says.
    first_path = np.searchsorted(evaluation.blocks, evaluation.channel_blocks)
    runs = evaluation.channels & evaluation.path[:, first_path]
    return _by_kind(
        subject, kinds, runs, evaluation.channel_blocks, "channels", f"channels-{number}"
    )


def _by_kind(
    subject: Subject, kinds: Kinds, on: np.ndarray, blocks: np.ndarray, what: str, name: str
) -> Drawing:
    kind = kinds.of_label[subject.evaluation.label]
    present = np.unique(kind)
    rates = np.stack([on[kind == number].mean(0) for number in present])
    names = [kinds.names[number] for number in present]
    many = len(names) > SHOWN_NAMES
    with drawn(1.1 + (2.6 if many else 0.17 * len(names))) as (figure, (axes,)):
        image = axes.imshow(rates, aspect="auto", vmin=0, vmax=1, interpolation="nearest")
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        every = -(-len(starts) // 14)  # as many numbers as fit
        axes.set_xticks(starts[::every], [str(block) for block in blocks[starts][::every]])
        axes.set_yticks([] if many else range(len(names)), [] if many else names)
        axes.set_xlabel(f"{what}, by block")
        if many:
            axes.set_ylabel(f"{len(names)} {kinds.word}es, in order")
        figure.colorbar(image, ax=axes, label="execution rate", fraction=0.05)
    return Drawing(
        name,
        f"Execution rate of {what} by {kinds.word}: {subject.name}",
        _differences(subject, rates, names, blocks, what, kinds.word),
        figure,
    )


def _differences(
    subject: Subject,
    rates: np.ndarray,
    names: Sequence[str],
    blocks: np.ndarray,
    what: str,
    word: str,
) -> str:
    """Where kinds differ most, in words."""
    means = rates.mean(1)
    column = int(np.ptp(rates, axis=0).argmax())
    most, least = int(rates[:, column].argmax()), int(rates[:, column].argmin())
    return (
        f"A map of execution rates of {subject.name}: a row per {word}, a column per one of "
        f"{rates.shape[1]} {what}. On average {means.min():.2f} for {names[int(means.argmin())]} "
        f"to {means.max():.2f} for {names[int(means.argmax())]}. The largest difference is in "
        f"block {blocks[column]}: {rates[most, column]:.2f} for {names[most]}, "
        f"{rates[least, column]:.2f} for {names[least]}."
    )
