import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from dyncore.data import Preprocessing
from dyncore.files import printable
from dyncore.gating import config_to_dict
from dyncore.parts import decode

GOOD = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "size": 24, "resize": 32}


@given(
    channels=st.lists(st.tuples(st.floats(-10, 10), st.floats(1e-3, 10)), min_size=1, max_size=4),
    size=st.integers(1, 500),
    margin=st.none() | st.integers(0, 100),
)
def test_json_round_trip(channels, size, margin):
    mean, std = zip(*channels, strict=True)
    resize = None if margin is None else size + margin
    preprocessing = Preprocessing(mean=mean, std=std, size=size, resize=resize)
    stored = json.dumps(config_to_dict(preprocessing))
    assert decode(Preprocessing, json.loads(stored), "preprocessing") == preprocessing


def test_resize_may_be_left_out():
    values = {name: value for name, value in GOOD.items() if name != "resize"}
    assert decode(Preprocessing, values, "preprocessing").resize is None


@pytest.mark.parametrize("field", ["mean", "std", "size"])
def test_missing_field_is_named(field):
    values = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(ValueError, match=rf"required field missing @ Preprocessing\.{field}"):
        decode(Preprocessing, values, "preprocessing")


@given(st.text().filter(lambda name: name not in GOOD))
def test_unknown_field_is_named(name):
    with pytest.raises(ValueError, match="no field ") as error:
        decode(Preprocessing, GOOD | {name: 1}, "preprocessing")
    assert f"no field {printable(repr(name))}; the fields are mean, std, s" in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean", ()),
        ("mean", (0.5, math.nan, 0.5)),
        ("std", (0.2, 0.0, 0.2)),
        ("std", (0.2, -0.1, 0.2)),
        ("std", (0.2, math.inf, 0.2)),
        ("std", (0.2, 0.2)),
        ("size", 0),
        ("resize", -1),
        ("resize", 23),
    ],
)
def test_bad_value_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"^preprocessing\.{field} "):
        Preprocessing(**GOOD | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean", [0.5, "0.5", 0.5]),
        ("mean", 0.5),
        ("mean", None),
        ("size", 32.0),
        ("size", True),
        ("size", "32"),
        ("resize", 256.0),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"^preprocessing: .* @ Preprocessing\.{field}"):
        decode(Preprocessing, GOOD | {field: value}, "preprocessing")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_normalize_is_torchvisions(dtype):
    preprocessing = Preprocessing(**GOOD)
    images = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = v2.Normalize(GOOD["mean"], GOOD["std"])(images)
    torch.testing.assert_close(preprocessing.normalize(images), expected)  # and of the same dtype


def test_normalize_refuses_other_channels():
    with pytest.raises(ValueError, match=r"1 channels.*mean and std have 3"):
        Preprocessing(**GOOD).normalize(torch.rand(2, 1, 4, 4))


def test_transform_resizes_short_side_and_cuts_the_centre():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    cut = image.resize((48, 32), Image.Resampling.BILINEAR).crop((12, 4, 36, 28))
    expected = (np.asarray(cut) / 255 - GOOD["mean"]) / GOOD["std"]
    transformed = Preprocessing(**GOOD).transform()(image)
    torch.testing.assert_close(
        transformed, torch.from_numpy(expected).permute(2, 0, 1).float(), rtol=0, atol=1e-5
    )


def test_transform_without_resize_leaves_the_pixels():
    preprocessing = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=8)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    transformed = preprocessing.transform()(Image.fromarray(pixels))  # grey
    expected = torch.from_numpy(pixels).expand(3, -1, -1) / 255
    torch.testing.assert_close(transformed, expected)
    larger = Image.fromarray(pixels).resize((20, 30))
    assert preprocessing.transform()(larger).shape == (3, 8, 8)
