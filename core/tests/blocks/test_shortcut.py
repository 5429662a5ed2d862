import pytest
import torch

from dyncore.blocks import PadShortcut


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("new_channels", [2, 4, 3, 1])
@pytest.mark.parametrize("size", [(6, 6), (5, 7), (1, 2)])
def test_pad_shortcut_copies_strided_pixels_between_zero_channels(stride, new_channels, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)

    out = PadShortcut(stride, new_channels)(x)

    height, width = (-(-side // stride) for side in size)
    assert out.shape == (2, 3 + new_channels, height, width)
    before = new_channels // 2
    for image in range(2):
        for channel in range(3 + new_channels):
            for row in range(height):
                for column in range(width):
                    old = channel - before
                    inside = 0 <= old < 3
                    expected = x[image, old, row * stride, column * stride] if inside else 0
                    assert out[image, channel, row, column] == expected
