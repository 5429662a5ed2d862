"""Pictures of every kind.

One rule for what is trained on and what is served: whatever a picture is stored as, a network sees
what people see.
"""

import io

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dyncore
from dyncore.data import Preprocessing
from dyncore.data._decode import decode, formats, suffixes
from dyncore.data._picture import picture

PLAIN = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=16).transform()
RAMP = np.linspace(0, 1, 256).reshape(16, 16)


def encoded(image: Image.Image, kind: str, **options) -> dict:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return {"bytes": file.getvalue(), "path": None}


def both(image: Image.Image, kind: str, **options) -> tuple[np.ndarray, np.ndarray]:
    """What is trained on and what is served, in [0, 1], (height, width, 3)."""
    file = encoded(image, kind, **options)
    served = PLAIN(Image.open(io.BytesIO(file["bytes"])))
    return np.asarray(decode(file, "row 0")) / 255, served.permute(1, 2, 0).numpy()


SIXTEEN = Image.fromarray((RAMP * 65535).round().astype(np.uint16))
FLOATING = Image.fromarray(RAMP.astype(np.float32))


@pytest.mark.situation("grey pictures of 16 bits, or floating-point in [0, 1]")
@pytest.mark.parametrize(
    ("image", "kind"),
    [(SIXTEEN, "PNG"), (SIXTEEN, "TIFF"), (SIXTEEN, "PPM"), (FLOATING, "TIFF")],
    ids=["png", "tiff", "pgm", "float"],
)
def test_deep_greys_keep_their_shades(image, kind):
    for found in both(image, kind):
        np.testing.assert_allclose(found, np.repeat(RAMP[..., None], 3, 2), atol=0.5 / 255 + 1e-6)


@pytest.mark.situation(
    "grey pictures of 32 bits",
    refused="which of its 32-bit greys is white nobody knows: scale them",
)
def test_wide_greys():
    PLAIN(Image.fromarray((RAMP * 2**20).astype(np.int32)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RAMP.astype(np.float32) * 255, r"floating-point greys go from 0 to 255"),
        (np.full((16, 16), np.nan, np.float32), "floating-point greys go from nan"),
        ((RAMP * 2**20).astype(np.int32), "which of its 32-bit greys is white nobody knows"),
    ],
)
def test_greys_without_a_known_white_are_refused(array, message):
    image = Image.fromarray(array)
    with pytest.raises(dyncore.DataFileError, match=f"row 0: .*{message}"):
        decode(encoded(image, "TIFF"), "row 0")
    with pytest.raises(ValueError, match=message):
        PLAIN(image)


@pytest.mark.situation("photos that Exif data say how to turn")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_photos_are_turned_as_datasets_turns_them(orientation, kind):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8))
    exif = photo.getexif()
    exif[0x0112] = orientation
    file = encoded(photo, kind, exif=exif)
    ours, theirs = decode(file, "row 0"), datasets.Image().decode_example(file)
    assert ours.size == theirs.size
    assert np.array_equal(np.asarray(ours), np.asarray(theirs.convert("RGB")))
    served = Image.open(io.BytesIO(file["bytes"]))
    assert np.array_equal(np.asarray(picture(served)), np.asarray(ours))


def test_damaged_exif_data_are_none():
    photo = Image.new("RGB", (8, 4), (9, 99, 199))
    file = encoded(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(40))
    assert decode(file, "row 0").size == (8, 4)


@pytest.mark.situation("WebP, TIFF, AVIF, JPEG 2000 and other formats")
@pytest.mark.parametrize("kind", formats())
def test_every_format_is_read(kind):
    image = Image.new("RGB", (16, 16), (10, 200, 90))
    found = np.asarray(decode(encoded(image, kind), "row 0"), int)
    assert np.abs(found - np.asarray(image, int)).max() < 12


def test_suffixes_are_those_of_the_formats():
    assert {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".mpo"} <= suffixes()
    assert not {".eps", ".ps", ".pdf", ".tga", ".mpg"} & suffixes()


class TestTransforms:
    @pytest.mark.situation(
        "`dyncore.transforms(model)` of a file's name",
        refused="this is a str, no image: open files",
    )
    def test_a_name_is_no_image(self):
        PLAIN("photo.jpg")

    @pytest.mark.situation(
        "`dyncore.transforms(model)` of an array of floating-point numbers",
        refused="an array must be uint8 (height, width) or (height, width, 3)",
    )
    def test_floating_point_arrays(self):
        PLAIN(np.zeros((16, 16, 3)))

    @pytest.mark.parametrize("thing", ["photo.jpg", b"PNG", None, 3, [Image.new("RGB", (2, 2))]])
    def test_what_is_no_image_is_refused(self, thing):
        with pytest.raises(ValueError, match=rf"this is a {type(thing).__name__}, no image"):
            PLAIN(thing)

    @pytest.mark.situation("`dyncore.transforms(model)` of an array of 8 or 16 bits")
    @pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3)])
    def test_an_array_of_bytes_is_its_image(self, shape):
        array = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        assert PLAIN(array).equal(PLAIN(Image.fromarray(array)))
        assert PLAIN(SIXTEEN).equal(PLAIN(np.asarray(SIXTEEN)))

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((16, 16, 3)),
            np.zeros((3, 16, 16), np.uint8),
            np.zeros((16, 16, 4), np.uint8),
            np.zeros((16, 16, 3), np.uint16),
            np.zeros((0, 16), np.uint8),
            np.zeros(16, np.uint8),
        ],
    )
    def test_other_arrays_are_refused(self, array):
        with pytest.raises(ValueError, match=r"an array must be uint8 \(height, width\)"):
            PLAIN(array)

    def test_tensors_of_bytes_and_of_shares_are_the_same(self):
        pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
        torch.testing.assert_close(PLAIN(pixels), pixels / 255)
        torch.testing.assert_close(PLAIN(pixels / 255), pixels / 255)
        torch.testing.assert_close(PLAIN(pixels[:1]), pixels[:1].expand(3, -1, -1) / 255)

    @pytest.mark.parametrize(
        "tensor",
        [torch.full((3, 8, 8), 1.5), torch.zeros(8, 8), torch.zeros(4, 8, 8), -torch.ones(3, 8, 8),
         torch.zeros(3, 8, 8, dtype=torch.int64)],
    )  # fmt: skip
    def test_other_tensors_are_refused(self, tensor):
        with pytest.raises(ValueError, match="a tensor must be"):
            PLAIN(tensor)

    def test_grey_networks_get_grey_pictures_and_others_none(self):
        grey = Preprocessing(mean=(0.0,), std=(1.0,), size=16)
        image = Image.new("RGB", (16, 16), (255, 0, 0))
        assert grey.transform()(image).unique().tolist() == [pytest.approx(76 / 255)]
        assert grey.transform()(image).shape == (1, 16, 16)
        four = Preprocessing(mean=(0.0,) * 4, std=(1.0,) * 4, size=16)
        with pytest.raises(ValueError, match="not with 4 channels: make the tensors yourself"):
            four.transform()

    @given(st.sampled_from(["1", "L", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV"]))
    def test_modes_of_eight_bits_are_pillows(self, mode):
        pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
        image = Image.fromarray(pixels).convert(mode)
        expected = np.asarray(image.convert("RGB")) / 255
        np.testing.assert_allclose(PLAIN(image).permute(1, 2, 0).numpy(), expected, atol=1e-6)
