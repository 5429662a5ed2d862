import numpy as np
import pytest
import torch
from PIL import Image

import dyncore
from dyncore.data import Preprocessing
from dyncore.network import ModelInfo


def test_transforms_are_the_preprocessing_of_the_model():
    model = dyncore.create_model("static-resnet20-cifar")
    model.info = ModelInfo(
        preprocessing=Preprocessing(mean=(0.2, 0.4, 0.6), std=(0.5, 0.25, 0.125), size=4)
    )
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5

    found = dyncore.transforms(model)(Image.fromarray(pixels))

    expected = (pixels / 255 - [0.2, 0.4, 0.6]) / [0.5, 0.25, 0.125]
    torch.testing.assert_close(found, torch.tensor(expected.transpose(2, 0, 1)).float())


def test_a_fresh_model_has_none():
    with pytest.raises(ValueError, match="this model has no preprocessing: it is set by training"):
        dyncore.transforms(dyncore.create_model("static-resnet20-cifar"))
