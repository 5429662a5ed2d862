"""Knowing images again."""

import pytest
import torch

from dyncore.data import Recognition, check_sketch, sketch


def pixels(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 4, 4), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("count", [20, 512, 5000])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_known_images_is_estimated(count, share):
    trained, images = pixels(count, 0), pixels(count, 1)
    known = round(share * count)
    images[:known] = trained[torch.randperm(count)[:known]]
    recognition = Recognition(sketch(trained))
    for batch in images.split(64):
        recognition.see(batch.float() / 255)
    # A share of n images has a deviation of at most 0.5 / sqrt(n).
    assert recognition.share == pytest.approx(share, abs=3 * 0.5 / min(count, 512) ** 0.5)
    assert (recognition.known > 0) == (share > 0)


def test_an_image_that_differs_in_one_pixel_by_one_is_another():
    trained = pixels(10, 0).clamp(0, 254)
    recognition = Recognition(sketch(trained))
    trained[:, 0, 0, 0] += 1
    recognition.see(trained.float() / 255)
    assert recognition.known == 0


def test_order_and_copies_do_not_matter():
    images = pixels(900, 0)
    text = sketch(images)
    assert sketch(images.flip(0).repeat(2, 1, 1, 1)) == text
    assert len(text) == 512 * 16
    check_sketch(text)


@pytest.mark.parametrize("text", ["", "0" * 15, "0" * 17, "G" * 16, "0" * 16 * 513])
def test_what_is_no_sketch_is_refused(text):
    with pytest.raises(ValueError, match="training_images must be"):
        check_sketch(text)
