"""Data sets of your own.

What is chosen about them is chosen by a rule, and said: sizes, splits, files, classes.
"""

import logging
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import dyncore
from dyncore.data import FileSplit, Loader, MemorySplit, load_dataset
from dyncore.data._file import _Decoder

NAMES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def heard(caplog):
    caplog.set_level(logging.INFO, "dyncore")
    return caplog


def files_of(png, sizes, folder="train/cat"):
    return {f"{folder}/{row}.png": png(row, size) for row, size in enumerate(sizes)}


class TestSize:
    @pytest.mark.situation("some images of another size than most: resized, and named")
    @pytest.mark.parametrize("place", [0, 3, 8])
    def test_one_odd_image_is_resized_and_named(self, tmp_path, png, write_files, heard, place):
        sizes = [(8, 8)] * 9
        sizes[place] = (9, 12)
        write_files(tmp_path, files_of(png, sizes))
        data = load_dataset(str(tmp_path))
        assert isinstance(data.train, MemorySplit)
        assert data.preprocessing.size == 8
        assert "1 of 9 images are not of the usual size, 8 x 8" in heard.text
        assert f"row {place} ({tmp_path / 'train/cat' / f'{place}.png'}): 9 x 12" in heard.text
        odd = Image.open(tmp_path / "train/cat" / f"{place}.png")
        expected = np.asarray(odd.resize((8, 8), Image.Resampling.BILINEAR))
        assert (data.train.images[place].permute(1, 2, 0).numpy() == expected).all()

    def test_many_odd_images_are_counted(self, tmp_path, png, write_files, heard):
        write_files(tmp_path, files_of(png, [(8, 8)] * 9 + [(7, 7)] * 7))
        load_dataset(str(tmp_path))
        assert "7 of 16 images" in heard.text
        assert "; and 2 more" in heard.text

    @pytest.mark.situation("small images of which no size has more than half: read as large ones")
    def test_without_a_majority_images_are_read_as_large_ones(
        self, tmp_path, png, write_files, heard
    ):
        write_files(tmp_path, files_of(png, [(8, 8), (8, 8), (7, 7), (6, 6)]))
        data = load_dataset(str(tmp_path))
        assert isinstance(data.train, FileSplit)
        assert "8 x 8, but only 2 of 4 have it" in heard.text
        assert "cut to 224 x 224 pixels and normalised by ImageNet's statistics" in heard.text

    def test_the_first_splits_majority_holds_for_the_other(self, tmp_path, png, write_files, heard):
        write_files(tmp_path, files_of(png, [(8, 8)] * 2))
        write_files(tmp_path, files_of(png, [(9, 9)] * 3, "test/cat"))
        data = load_dataset(str(tmp_path))
        assert data.test.images.shape == (3, 3, 8, 8)
        assert "test split: 3 of 3 images are not of the usual size, 8 x 8" in heard.text

    @pytest.mark.situation("another size for all of them, `--size`")
    def test_an_option_decides(self, tmp_path, png, write_files):
        write_files(tmp_path, files_of(png, [(8, 8)] * 3))
        assert load_dataset(str(tmp_path), size=5).train.images.shape == (3, 3, 5, 5)
        write_files(tmp_path, files_of(png, [(80, 70)] * 9))
        preprocessing = load_dataset(str(tmp_path), size=112).preprocessing
        assert (preprocessing.size, preprocessing.resize) == (112, 128)
        with pytest.raises(ValueError, match="size must be 1 to 16384 pixels, not 0"):
            load_dataset(str(tmp_path), size=0)
        with pytest.raises(ValueError, match="'digits' are 8 x 8 pixels, not 16"):
            load_dataset("digits", size=16)

    def test_unreadable_images_do_not_vote(self, tmp_path, png, write_files):
        write_files(tmp_path, files_of(png, [(8, 8)] * 2))
        write_files(tmp_path, {f"train/cat/x{n}.png": b"damaged" for n in range(3)})
        data = load_dataset(str(tmp_path), skip_corrupt=True)
        assert data.train.images.shape == (2, 3, 8, 8)
        with pytest.raises(dyncore.DataFileError, match=r"row 2 .*not a readable image"):
            load_dataset(str(tmp_path))


class TestFiles:
    @pytest.mark.situation(
        "images of every format, in sub-folders, too; what is left out is counted and said"
    )
    def test_every_format_and_sub_folders(self, tmp_path, png, write_files, heard):
        files = {
            "train/cat/a.png": png(0),
            "train/cat/more/b.PNG": png(1),
            "train/cat/more/still/c.png": png(2),
            "train/dog/notes.txt": b"",
            "train/dog/photo.heic": b"",
            "train/dog/LICENSE": b"",
            "train/dog/.DS_Store": b"",
            "train/labels.csv": b"",
        }
        write_files(tmp_path, files)
        for suffix in ("webp", "bmp", "tif", "jpeg", "gif", "jp2", "avif"):
            Image.new("RGB", (8, 8)).save(tmp_path / f"train/dog/x.{suffix}")
        data = load_dataset(str(tmp_path))
        assert data.train.labels.tolist() == [0] * 3 + [1] * 7
        assert "left out 4 files that are no images of a class: " in heard.text
        for kind in ("1 .txt", "1 .heic", "1 without a suffix", "1 .csv"):
            assert kind in heard.text

    def test_nothing_left_out_is_not_said(self, tmp_path, png, write_files, heard):
        write_files(tmp_path, files_of(png, [(8, 8)] * 2))
        load_dataset(str(tmp_path))
        assert "left out" not in heard.text

    @pytest.mark.situation("a split called validation, valid, val, dev, eval or test")
    @pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "eval", "test"])
    @pytest.mark.parametrize("parquet", [False, True])
    def test_names_of_evaluation_splits(
        self, tmp_path, png, write_files, write_parquet, name, parquet
    ):
        if parquet:
            write_parquet(tmp_path / f"{name}-0.parquet", [png(0)], [0], names=NAMES)
        else:
            write_files(tmp_path, {f"{name}/cat/0.png": png(0)})
        assert len(load_dataset(str(tmp_path)).test) == 1

    @pytest.mark.situation("several of these: one is evaluated on, and said")
    def test_the_split_that_is_evaluated_on_is_said(self, tmp_path, png, write_files, heard):
        write_files(tmp_path, {f"{split}/cat/0.png": png(0) for split in ("valid", "dev", "test")})
        load_dataset(str(tmp_path))
        assert "evaluates on split 'valid' and leaves out dev, test" in heard.text


class TestClasses:
    @pytest.mark.situation("splits that number their classes otherwise: matched by name, and said")
    def test_splits_that_number_classes_otherwise_are_matched_by_name(
        self, tmp_path, png, write_parquet, heard
    ):
        images = [png(0), png(1)]
        write_parquet(tmp_path / "train-0.parquet", images, [0, 1], names=["cat", "dog"])
        write_parquet(tmp_path / "test-0.parquet", images, [0, 1], names=["dog", "cat"])
        data = load_dataset(str(tmp_path))
        assert data.classes == ("cat", "dog")
        assert data.test.labels.tolist() == [1, 0]
        assert "test split: its classes stand in another order" in heard.text

    def test_a_label_outside_the_names_is_still_named(self, tmp_path, png, write_parquet):
        write_parquet(tmp_path / "train-0.parquet", [png(0)], [0], names=["cat", "dog"])
        write_parquet(tmp_path / "test-0.parquet", [png(0)], [2], names=["dog", "cat"])
        with pytest.raises(dyncore.DataFileError, match="label 2 is outside the 2 classes"):
            load_dataset(str(tmp_path))

    @pytest.mark.situation(
        "a split with a class that the training split lacks",
        refused="the training split has no class 'owl'; rename it or remove its images",
    )
    def test_a_split_with_other_classes_is_refused(self, tmp_path, png, write_parquet):
        write_parquet(tmp_path / "train-0.parquet", [png(0)], [0], names=["cat", "dog"])
        write_parquet(tmp_path / "test-0.parquet", [png(0)], [0], names=["cat", "owl"])
        with pytest.raises(dyncore.DataFileError) as refusal:
            load_dataset(str(tmp_path))
        raise refusal.value


class TestElsewhere:
    @pytest.mark.situation(
        "a relative path of a data set, then `os.chdir`", under="Processes, and where they run"
    )
    def test_a_relative_folder_is_found_after_chdir(self, tmp_path, png, write_files, monkeypatch):
        write_files(tmp_path / "set", files_of(png, [(80, 70)] * 2))
        monkeypatch.chdir(tmp_path)
        data = load_dataset("set")
        monkeypatch.chdir("/")
        loader = Loader(
            data.train,
            batch_size=2,
            preprocessing=data.preprocessing,
            augmentation=None,
            seed=0,
            shuffle=False,
            drop_last=False,
            device="cpu",
        )
        (batch,) = loader.epoch(0)
        assert batch.images.shape == (2, 3, 224, 224)
        assert data.name == "set"

    def test_what_a_worker_gets_is_no_part_of_this_process(self, tmp_path, png, write_files):
        """Spawn and forkserver send it as a pickle."""
        write_files(tmp_path, files_of(png, [(80, 70)] * 2))
        data = load_dataset(str(tmp_path))
        plan = dyncore.data._plan.EpochPlan(0, 0, torch.arange(2), [])
        decoder = _Decoder(data.train.images, "x", data.preprocessing.geometry(), 224, plan)
        again = pickle.loads(pickle.dumps(decoder))
        assert again[range(2)].equal(decoder[range(2)])


class TestWithoutSplits:
    @pytest.fixture
    def folder(self, tmp_path, png, write_files):
        """Seven cats and five dogs, of which one lies deeper."""
        files = {f"set/cat/{row}.png": png(row) for row in range(7)}
        files |= {f"set/dog/{row}.png": png(row) for row in range(4)} | {"set/dog/x/4.png": png(4)}
        write_files(tmp_path, files)
        return str(tmp_path / "set")

    def test_every_fifth_image_of_each_class_is_held_out(self, folder, heard):
        data = load_dataset(folder)
        assert data.classes == ("cat", "dog")
        assert (data.train.labels.tolist(), data.test.labels.tolist()) == (
            [0] * 6 + [1] * 4,
            [0, 1],
        )
        assert "every fifth image of each class is held out to test on, 2 of 12" in heard.text
        again = load_dataset(folder, only="test")
        assert again.train is None
        assert torch.equal(again.test.images, data.test.images)

    def test_one_split_alone_is_read(self, tmp_path, png, write_files):
        files = {"train/cat/0.png": png(0), "train/dog/0.png": b"damaged"}
        write_files(tmp_path, files | {"val/dog/0.png": png(1)})
        data = load_dataset(str(tmp_path), only="test")
        assert data.train is None
        assert data.classes == ("cat", "dog")
        assert data.test.labels.tolist() == [1]
        with pytest.raises(dyncore.DataFileError, match="train split, row 1"):
            load_dataset(str(tmp_path), only="train")

    def test_a_split_that_is_not_there_is_missed(self, tmp_path, png, write_files):
        write_files(tmp_path, {"train/cat/0.png": png(0)})
        with pytest.raises(dyncore.DataFileError, match="has no test split"):
            load_dataset(str(tmp_path), only="test")

    def test_small_images_are_held_no_larger_than_they_are(self, folder):
        data = load_dataset(folder, size=32)
        assert data.train.images.shape[1:] == (3, 8, 8)
        assert data.preprocessing.size == 32
        (batch,) = Loader(
            data.test, batch_size=2, preprocessing=data.preprocessing, device="cpu"
        ).epoch(0)
        assert batch.images.shape == (2, 3, 32, 32)
