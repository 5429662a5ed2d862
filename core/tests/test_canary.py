import jaxtyping
import pytest
import torch

from dyncore.data import Preprocessing


def test_shapes_are_checked_while_tests_run():
    preprocessing = Preprocessing(mean=(0.5,), std=(0.25,), size=8)

    assert preprocessing.normalize(torch.full((2, 1, 8, 8), 0.75)).eq(1).all()
    with pytest.raises(jaxtyping.TypeCheckError):
        preprocessing.normalize(torch.zeros(1, 8, 8))
