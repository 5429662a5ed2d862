"""Predictions on disk: the right ones, or none."""

import copy
from dataclasses import replace

import pytest
import torch

from dyncore.cascade import Cascade, Kept, Member, keys_of, onnx_member, predict_kept
from dyncore.data import FileSplit, MemorySplit, Preprocessing

VIEW = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=16)
CLASSES = tuple("abcde")


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return MemorySplit(images, torch.arange(12) % 5)


@pytest.fixture
def members(networks):
    return [Member.of(networks[n], preprocessing=VIEW) for n in ("static", "additive")]


def batches(split):
    return [(split.images.double() / 255, split.labels)]


def test_what_is_kept_is_what_a_member_says(members, split, tmp_path):
    cascade, kept = Cascade(members), Kept(tmp_path / "kept")
    keys = keys_of(members, split, CLASSES, VIEW)
    asks = [lambda images, i=i: cascade.logits(i, images) for i in range(2)]
    first = predict_kept(asks, keys, kept, split.labels, batches(split))
    nobody = [lambda images: pytest.fail("asked again")] * 2
    again = predict_kept(nobody, keys, kept, split.labels, batches(split))
    for found, kept_one, ask in zip(first, again, asks, strict=True):
        logits, macs = ask(batches(split)[0][0])
        assert torch.equal(found.logits, logits.float())
        assert torch.equal(found.logits, kept_one.logits)
        assert torch.equal(macs, kept_one.macs)
    file = tmp_path / "kept" / f"{keys[1]}.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    repaired = predict_kept([nobody[0], asks[1]], keys, kept, split.labels, batches(split))
    assert torch.equal(repaired[1].logits, first[1].logits)


def test_other_data_weights_and_settings_have_other_keys(members, split):
    (key, other) = keys_of(members, split, CLASSES, VIEW)
    keys = {key, other}
    pixels = split.images.clone()
    pixels[3, 0, 0, 0] ^= 1
    labels = split.labels.clone()
    labels[0] = 4
    for data in (MemorySplit(pixels, split.labels), MemorySplit(split.images, labels)):
        keys |= set(keys_of(members[:1], data, CLASSES, VIEW))
    keys |= set(keys_of(members[:1], split, CLASSES[::-1], VIEW))
    keys |= set(keys_of(members[:1], split, CLASSES, replace(VIEW, size=24)))
    for field in ({"preprocessing": replace(VIEW, size=8)}, {"classes": CLASSES}):
        keys |= set(keys_of([replace(members[0], **field)], split, CLASSES, VIEW))
    other_weights = copy.deepcopy(members[0].run)
    torch.nn.init.zeros_(other_weights.backbone.fc.bias)
    keys |= set(keys_of([members[0].running(other_weights)], split, CLASSES, VIEW))
    assert len(keys) == 9
    assert keys_of(members[:1], split, CLASSES, VIEW) == [key]


def test_files_are_known_by_their_bytes(members):
    def key(data):
        images = [{"bytes": data, "path": None}] * 3
        return keys_of(members[:1], FileSplit(images, torch.arange(3), "x"), CLASSES, VIEW)

    assert key(b"a") == key(b"a") != key(b"b")


def test_a_function_needs_a_fingerprint(members, split):
    function = members[0].running(lambda images: images)
    with pytest.raises(ValueError, match="has no fingerprint"):
        keys_of([function], split, CLASSES, VIEW)
    keys = [
        keys_of([replace(function, fingerprint=text)], split, CLASSES, VIEW) for text in ("a", "b")
    ]
    assert keys[0] != keys[1]


def test_labels_of_another_split_are_refused(members, split, tmp_path):
    cascade = Cascade(members)
    asks = [lambda images: cascade.logits(0, images)]
    with pytest.raises(ValueError, match="not those of the split"):
        predict_kept(asks, ["0"], Kept(tmp_path), split.labels.flip(0), batches(split))
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_onnx_are_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"x\.onnx is no usable ONNX file"):
        onnx_member(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError, match="give an ONNX file"):
        onnx_member(tmp_path / "y.onnx")
