"""Maps of execution rates equal counting, image by image."""

import numpy as np
import pytest

from dyncore.report._rates import Kinds, channel_rates, path_rates, rates_side_by_side

CLASSES = Kinds("class", ("ant", "bee", "cat"), np.arange(3))
GROUPS = Kinds("superclass", ("insects", "others"), np.array([0, 0, 1]))


def counted(evaluation, kinds, on) -> list[list[float]]:
    """Rate of each column by kind."""
    rows = []
    for kind in range(len(kinds.names)):
        images = [i for i, label in enumerate(evaluation.label) if kinds.of_label[label] == kind]
        rows.append([sum(on(i, c) for i in images) / len(images) for c in range(on.columns)])
    return rows


def shown(drawing) -> np.ndarray:
    return np.asarray(drawing.figure.axes[0].images[0].get_array())


@pytest.mark.parametrize("kinds", [CLASSES, GROUPS], ids=["classes", "superclasses"])
def test_rates_of_decided_paths_by_kind(subject, kinds):
    model = subject()

    def on(image, column):
        return model.evaluation.path[image, 1 + column]  # the first path is not decided

    on.columns = 3
    drawing = path_rates(model, kinds, 1)
    np.testing.assert_allclose(shown(drawing), counted(model.evaluation, kinds, on))
    labels = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert labels == list(kinds.names)


def test_a_channel_of_a_block_that_is_off_does_not_run(subject):
    model = subject(channels=True)
    evaluation = model.evaluation

    def on(image, column):
        block = evaluation.channel_blocks[column]
        path = {1: 1, 2: 3}[block]  # the first path of each block
        return evaluation.channels[image, column] and evaluation.path[image, path]

    on.columns = 6
    np.testing.assert_allclose(
        shown(channel_rates(model, CLASSES, 1)), counted(evaluation, CLASSES, on)
    )


def test_the_words_name_the_largest_difference(subject):
    model = subject()
    rates = shown(path_rates(model, CLASSES, 1))
    column = max(range(3), key=lambda c: rates[:, c].max() - rates[:, c].min())
    most = CLASSES.names[rates[:, column].argmax()]
    assert f"{rates[:, column].max():.2f} for {most}" in path_rates(model, CLASSES, 1).text


def test_blocks_of_two_models_stand_side_by_side(subject):
    models = [subject("a", 1), subject("b", 2)]
    (axes,) = rates_side_by_side(models).figure.axes
    for bars, model in zip(axes.containers, models, strict=True):
        heights = [bar.get_height() for bar in bars]
        assert heights == pytest.approx(model.evaluation.block_rates)
    first, second = ([bar.get_x() for bar in bars] for bars in axes.containers)
    assert all(a < b < a + 1 for a, b in zip(first, second, strict=True))
