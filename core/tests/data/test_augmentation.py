from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore.data import CropFlip, RandomResizedCropFlip


def one_by_one(images: np.ndarray, padding: int, draws: np.ndarray) -> np.ndarray:
    """Pad, cut and mirror image after image."""
    augmented = []
    for image, (top, left, mirrored) in zip(images, draws, strict=True):
        _, height, width = image.shape
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        cut = padded[:, top : top + height, left : left + width]
        augmented.append(cut[:, :, ::-1] if mirrored else cut)
    return np.stack(augmented)


@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(*[st.integers(1, 7)] * 4),
    padding=st.integers(0, 5),
    flip=st.booleans(),
)
def test_crop_flip_is_the_naive_loop(seed, shape, padding, flip):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, shape, generator=generator).to(torch.uint8)
    augmentation = CropFlip(padding=padding, flip=flip)
    draws = augmentation.draw(len(images), generator)
    expected = one_by_one(images.numpy(), padding, draws.numpy())
    assert (augmentation(images, draws).numpy() == expected).all()


@pytest.mark.parametrize("flip", [True, False])
def test_crop_flip_draws_every_case_equally_often(flip):
    draws = CropFlip(padding=2, flip=flip).draw(20_000, torch.Generator().manual_seed(0))
    counts = Counter(map(tuple, draws.tolist()))
    cases = {(y, x, m) for y in range(5) for x in range(5) for m in range(2 if flip else 1)}
    assert counts.keys() == cases
    mean = 20_000 / len(cases)
    deviation = (mean * (1 - 1 / len(cases))) ** 0.5
    assert max(abs(count - mean) for count in counts.values()) < 4.5 * deviation


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: CropFlip(padding=-1), "padding"),
        (lambda: RandomResizedCropFlip(scale=(0.0, 1.0)), "scale"),
        (lambda: RandomResizedCropFlip(scale=(0.5, 0.4)), "scale"),
        (lambda: RandomResizedCropFlip(scale=(0.5, 1.5)), "scale"),
        (lambda: RandomResizedCropFlip(ratio=(2.0, 1.0)), "ratio"),
    ],
)
def test_bad_settings_are_refused_by_name(make, field):
    with pytest.raises(ValueError, match=f"^{field} must"):
        make()
