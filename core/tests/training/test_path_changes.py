"""How often an image's path is another than before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyncore.training import Evaluation
from dyncore.training._path_changes import PathChanges

PATHS = st.integers(1, 20).flatmap(
    lambda width: st.tuples(*[arrays(bool, (5, width)) for _ in range(3)])
)


def evaluation(path: np.ndarray) -> Evaluation:
    images, width = path.shape
    return Evaluation(
        label=np.zeros(images, int),
        prediction=np.zeros(images, int),
        macs=np.ones(images, int),
        path=path,
        channels=None,
        blocks=np.arange(width),
        gated=np.ones(width, bool),
        static_macs=1,
    )


@given(PATHS)
def test_each_evaluation_is_compared_with_the_one_before_it(paths):
    first, second, third = paths
    changes = PathChanges()
    assert changes.see(evaluation(first)) == {}
    for before, now in ((first, second), (second, third)):
        share = np.mean([(a != b).any() for a, b in zip(before, now, strict=True)])
        assert changes.see(evaluation(now)) == {"changed_paths": pytest.approx(share)}


@given(PATHS)
def test_what_is_remembered_goes_on_elsewhere(paths):
    here, there = PathChanges(), PathChanges()
    here.see(evaluation(paths[0]))
    there = PathChanges(here.paths)
    assert there.see(evaluation(paths[1])) == here.see(evaluation(paths[1]))


def test_other_test_images_have_no_path_before():
    changes = PathChanges()
    changes.see(evaluation(np.ones((5, 3), bool)))
    assert changes.see(evaluation(np.ones((6, 3), bool))) == {}
