"""Images and tables of strangers: left out if one asks for it, and never more than data."""

import io
import logging
import socket
import struct
import zlib

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from PIL import Image

import dyncore
from dyncore.data import Loader, MemorySplit, load_dataset

NAMES = ["cat", "dog"]


def read(split, size=8):
    preprocessing = dyncore.data.Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, size=size)
    loader = Loader(
        split,
        batch_size=3,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        device="cpu",
    )
    batches = list(loader.epoch(0))
    return torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches])


@pytest.fixture(params=[8, 80], ids=["in memory", "in files"])
def some_corrupt(request, tmp_path, png, write_parquet):
    """Seven images, of which rows 1, 4 and 5 cannot be read; the folder, and the good ones."""
    size = (request.param, request.param)
    good = [png(row, size) for row in range(7)]
    mixed = [good[0], good[1][:40], good[2], good[3], b"no image", None, good[6]]
    labels = [0, 1, 1, 0, 1, 0, 1]
    write_parquet(tmp_path / "mixed" / "test-0.parquet", mixed, labels, names=NAMES)
    kept = [0, 2, 3, 6]
    write_parquet(
        tmp_path / "good" / "test-0.parquet",
        [good[row] for row in kept],
        [labels[row] for row in kept],
        names=NAMES,
    )
    return str(tmp_path / "mixed"), str(tmp_path / "good"), request.param


def test_without_the_option_the_first_one_is_fatal(some_corrupt):
    mixed, _, size = some_corrupt
    message = "test split, row 1: this is not a readable image .* with --skip-corrupt"
    with pytest.raises(dyncore.DataFileError, match=message):
        read(load_dataset(mixed).test, size)


def test_with_the_option_they_are_named_and_left_out(some_corrupt, caplog):
    mixed, good, size = some_corrupt
    with caplog.at_level(logging.WARNING, logger="dyncore"):
        split = load_dataset(mixed, skip_corrupt=True).test
    [record] = caplog.records
    assert record.getMessage().startswith(f"{mixed}, test split: left out 3 of 7 images: row 1: ")
    assert "; row 4: cannot identify image file" in record.getMessage()
    assert record.getMessage().endswith("; row 5: there is no image")

    whole = load_dataset(good).test
    assert type(split) is type(whole)
    assert isinstance(split, MemorySplit) == (size == 8)
    for found, expected in zip(read(split, size), read(whole, size), strict=True):
        assert torch.equal(found, expected)


def test_what_is_whole_is_not_changed_by_the_option(tmp_path, png, write_parquet, caplog):
    images = [png(row) for row in range(5)]
    write_parquet(tmp_path / "test-0.parquet", images, [0, 1, 0, 1, 0])
    plain, checked = (load_dataset(str(tmp_path), skip_corrupt=skip) for skip in (False, True))
    assert caplog.records == []
    for found, expected in zip(read(checked.test), read(plain.test), strict=True):
        assert torch.equal(found, expected)


def test_a_split_without_one_good_image_is_an_error(tmp_path, write_parquet):
    write_parquet(tmp_path / "test-0.parquet", [b"x", None], [0, 1])
    with pytest.raises(dyncore.DataFileError, match="none of the 2 images can be read; row 0: "):
        load_dataset(str(tmp_path), skip_corrupt=True)


def test_very_many_are_counted(tmp_path, png, write_parquet, caplog):
    images = [png(0)] + [b"x"] * 150
    write_parquet(tmp_path / "test-0.parquet", images, [0] * 151)
    load_dataset(str(tmp_path), skip_corrupt=True)
    message = caplog.records[0].getMessage()
    assert message.count("; row ") == 99
    assert message.endswith("; and 50 more")


def table_of_paths(folder, paths):
    cells = pa.array([{"bytes": None, "path": str(path)} for path in paths],
                     pa.struct([("bytes", pa.binary()), ("path", pa.string())]))  # fmt: skip
    folder.mkdir(exist_ok=True)
    table = pa.table({"img": cells, "label": [0] * len(paths)})
    pyarrow.parquet.write_table(table, folder / "test-0.parquet")


def test_a_table_cannot_make_us_read_files_elsewhere(tmp_path, png):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(0))
    inside = tmp_path / "data" / "inside.png"
    table_of_paths(tmp_path / "data", [inside, secret])
    inside.write_bytes(png(1))
    with pytest.raises(dyncore.DataFileError, match="row 1: there is no image"):
        load_dataset(str(tmp_path / "data"))
    for path in (secret, tmp_path / "data" / ".." / "secret.png", "/dev/zero", "/etc/passwd"):
        table_of_paths(tmp_path / "data", [path])
        with pytest.raises(dyncore.DataFileError, match="row 0: there is no image"):
            load_dataset(str(tmp_path / "data"))


def test_files_that_a_table_names_in_its_own_folder_are_read(tmp_path, png):
    (tmp_path / "data").mkdir()
    for row in range(2):
        (tmp_path / "data" / f"{row}.png").write_bytes(png(row))
    table_of_paths(tmp_path / "data", [tmp_path / "data" / f"{row}.png" for row in range(2)])
    assert len(load_dataset(str(tmp_path / "data")).test) == 2


def test_only_common_formats_are_decoded(tmp_path, write_parquet):
    """EPS would start Ghostscript on a stranger's program."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "EPS")
    write_parquet(tmp_path / "test-0.parquet", [file.getvalue()], [0])
    with pytest.raises(dyncore.DataFileError, match=r"not a readable image \(unknown format\)"):
        load_dataset(str(tmp_path))


def test_an_image_that_claims_to_be_huge_is_refused(tmp_path, png, write_parquet):
    """A PNG header that says 60,000 x 60,000 pixels: 10 GB."""
    data = png(0)
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[24:29]
    huge = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    write_parquet(tmp_path / "test-0.parquet", [huge], [0])
    with pytest.raises(dyncore.DataFileError, match=r"row 0: .* decompression bomb"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("label", [100_000, 2**62])
def test_labels_without_names_have_a_limit(tmp_path, png, write_parquet, label):
    """The names of all classes up to the greatest would be made."""
    write_parquet(tmp_path / "test-0.parquet", [png(0), png(1)], [0, label])
    with pytest.raises(dyncore.DataFileError, match=f"row 1: label {label} is absurd"):
        load_dataset(str(tmp_path))


def test_a_local_folder_is_read_without_asking_anybody(tmp_path, png, write_parquet, monkeypatch):
    def connect(*arguments, **options):
        raise AssertionError("reading a local folder must not use the network")

    monkeypatch.setattr(socket, "getaddrinfo", connect)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    asked = []
    monkeypatch.setattr(datasets.load, "increase_load_count", asked.append)
    write_parquet(tmp_path / "train-0.parquet", [png(0), png(1)], [0, 1])
    write_parquet(tmp_path / "test-0.parquet", [png(0), png(1)], [0, 1])
    assert len(load_dataset(str(tmp_path)).train) == 2
    assert asked == []


@pytest.mark.parametrize("source", ["~nobody-of-that-name/data", "a\0b", "x" * 5000])
def test_a_source_that_is_no_path_is_explained(source):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_dataset(source)
