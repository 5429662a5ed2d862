"""Images are those that the words say."""

from collections import Counter

import pytest
import torch

from dyncore.report._pictures import COLUMNS, easy_and_hard, shared_paths

CLASSES = ("ant", "bee", "cat")


class Album:
    """Each image is as bright as its row's number; remembers what was asked for."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, rows):
        self.rows = list(rows)
        return torch.tensor(self.rows, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)


def rows_shown(drawing) -> list[int]:
    """Row numbers of the images, in order."""
    (axes,) = drawing.figure.axes
    return [int(image.get_array()[0, 0, 0]) for image in axes.images]


def written(drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.axes[0].texts]


def test_cheapest_and_dearest_of_each_class(subject):
    model, album = subject(), Album()
    drawing = easy_and_hard(model, CLASSES, album, 1)
    cheapest, dearest = [], []
    for label in range(3):
        rows = [i for i, found in enumerate(model.evaluation.label) if found == label]
        cheapest.append(min(rows, key=lambda i: model.evaluation.macs[i]))
        dearest.append(max(rows, key=lambda i: model.evaluation.macs[i]))
    assert rows_shown(drawing) == cheapest + dearest == album.rows
    captions = [text for text in written(drawing) if "\n" in text]
    for caption, row in zip(captions, album.rows, strict=True):
        evaluation = model.evaluation
        wrong = bool(evaluation.prediction[row] != evaluation.label[row])
        answer = CLASSES[evaluation.prediction[row]]
        assert caption == f"{'not ' * wrong}{answer}\n{evaluation.macs[row] / 10:.0f} %"


@pytest.mark.parametrize("channels", [False, True])
def test_each_row_shares_a_path_and_the_most_frequent_come_first(subject, channels):
    model, album = subject(channels=channels), Album()
    drawing = shared_paths(model, album, 1)
    evaluation = model.evaluation

    def path(row):
        own = () if evaluation.channels is None else evaluation.channels[row].tolist()
        return (*evaluation.path[row].tolist(), *own)

    counts = Counter(map(path, range(len(evaluation.label))))
    frequent = sorted(counts.values(), reverse=True)[:4]
    assert rows_shown(drawing) == album.rows
    left = list(album.rows)
    for index, count in enumerate(frequent):
        group = [left.pop(0) for _ in range(min(count, COLUMNS))]
        assert len(set(group)) == len(group)
        assert {counts[path(row)] for row in group} == {count}
        assert len({path(row) for row in group}) == 1
        assert f"is taken by {count} of 60" in drawing.text
        on = sum(evaluation.path[group[0]][1:])
        assert (
            written(drawing)[index] == f"{'ABCD'[index]}: {on} of 3 paths on, {count} of 60 images"
        )
    assert not left
