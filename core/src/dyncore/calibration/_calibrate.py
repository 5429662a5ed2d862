"""A network's budget dial, from images that it was not trained on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

import torch

from dyncore.calibration._batches import (
    Batches,
    Denormalised,
    check_in_range,
    check_labels,
    images_and_labels,
)
from dyncore.calibration._measured import Measured, as_it_was
from dyncore.calibration._search import dialled, middles, probes
from dyncore.calibration._seen import Seen
from dyncore.cost import cost_table
from dyncore.data import Preprocessing
from dyncore.network import Dial, DynamicNetwork

Z = 1.96
"""Standard deviations of a 95 % interval."""
PROBED = 256
"""Images that tell which thresholds are worth measuring on all of them."""
ROUNDS = 6
"""Times that settings too far apart get one between them."""


def calibrate(
    model: DynamicNetwork,
    batches: Batches,
    *,
    budget: float | None = None,
    accuracy: float | None = None,
    preprocessing: Preprocessing | None = None,
    normalised: bool = False,
) -> Dial:
    """Learn what each threshold of the gates costs, for ``model.set_budget``.

    ``batches`` yields (images, labels) or :class:`dyncore.data.Batch`: images in [0, 1] that the
    model was not trained on, of the size it takes. They are run some thirty times over, with the
    thresholds of all gates moved by as much. ``preprocessing`` replaces the model's own;
    ``normalised`` says that the batches went through it, as those of a training loop. Give one aim,
    or none: ``budget``, the mean cost as a share of the static network's MACs, or
    ``accuracy``, the least share of right answers, set the dial; without, the model stays as it was
    trained. The dial is kept in ``model.info``, and saved with the model.

    Raises ValueError for both aims, for one out of reach, for a network whose decisions no
    threshold moves, for labels that are no class's numbers, and for images that the model was
    trained on, where its gates are surer than on others; a few of them cause a warning.
    """
    if budget is not None and accuracy is not None:
        raise ValueError("give one aim, budget or accuracy, not both")
    if not model.gates:
        raise ValueError("a static network has no gates to move: calibrate a network with routers")
    preprocessing = preprocessing or model.info.preprocessing
    if preprocessing is None:
        raise ValueError(
            "the model does not say what its images go through: give calibrate(..., "
            "preprocessing=Preprocessing(mean=..., std=..., size=...))"
        )
    if isinstance(batches, Iterator):
        batches = list(batches)
    if normalised:
        batches = Denormalised(batches, preprocessing)
    count, example = _look(model, batches)
    table = cost_table(model, (example.shape[1], example.shape[2], example.shape[3]))
    measured = Measured(model, table, preprocessing)
    with as_it_was(model):
        some = [next(iter(batches))]
        found = measured.at(probes(lambda t: measured.ratio(some, t, PROBED), table), batches)
        for _ in range(ROUNDS):
            if more := middles(found, table):
                found |= measured.at(more, batches)
    settings = dialled([each.setting(t) for t, each in found.items()], table)
    if len(settings) < 2:
        raise ValueError(
            "moving the thresholds of this network's gates changes nothing: they have none "
            "(Gate.move), or their paths are fixed"
        )
    spread = max(float(each.costs.std() / each.costs.mean()) for each in found.values())
    dial = Dial(
        images=count,
        static_cost=table.static,
        tolerance=Z * spread / sqrt(count),
        settings=settings,
    )
    if accuracy is not None:
        reaching = [setting for setting in settings if setting.accuracy >= accuracy]
        if not reaching:
            best = max(setting.accuracy for setting in settings)
            raise ValueError(
                f"no setting reaches an accuracy of {accuracy:g}: the best is {best:.4f}"
            )
        budget = reaching[0].cost / table.static
    if budget is not None:
        dial.at(budget)  # raises before anything is changed
    model.set_budget(None)
    model.info = replace(model.info, dial=dial)
    model.set_budget(budget)
    return dial


def _look(model: DynamicNetwork, batches: Batches) -> tuple[int, torch.Tensor]:
    """Number of images, and the first of them. Raises ValueError for what cannot calibrate."""
    seen = Seen([_Network(model.info.model or "the model", model.info.training_images)])
    count, first = 0, None
    for batch in batches:
        images, labels = images_and_labels(batch)
        if len(images):
            check_in_range(images)
            first = images[:1] if first is None else first
            check_labels(labels, model.config.num_classes)
        count += len(images)
        seen.look(images)
    if first is None or count < 2:
        raise ValueError("thresholds need at least two images, better thousands")
    seen.refuse()
    return count, first


@dataclass(frozen=True)
class _Network:
    """See :class:`Trained`."""

    name: str
    training_images: str | None
