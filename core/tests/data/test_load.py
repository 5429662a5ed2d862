from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dyncore.data import FileSplit, Loader, MemorySplit, load_dataset


def rows(images) -> Counter:
    return Counter(image.tobytes() for image in np.asarray(images))


class TestDigits:
    def test_splits_are_the_bundled_images(self):
        data, bundled = load_dataset("digits"), load_digits()
        assert (len(data.train), len(data.test)) == (1438, 359)
        images = torch.cat([data.train.images, data.test.images])
        assert images.shape == (1797, 3, 8, 8)
        greys = np.rint(bundled.images * 255 / 16).astype(np.uint8)
        assert greys.max() == 255
        for channel in images.unbind(1):
            assert rows(channel) == rows(greys)

    def test_labels_belong_to_the_images(self):
        data, bundled = load_dataset("digits"), load_digits()
        greys = np.rint(bundled.images * 255 / 16).astype(np.uint8)
        label = {grey.tobytes(): int(y) for grey, y in zip(greys, bundled.target, strict=True)}
        for split in (data.train, data.test):
            found = [label[image.numpy().tobytes()] for image in split.images[:, 0].contiguous()]
            assert found == split.labels.tolist()

    def test_each_class_is_split_alike(self):
        data = load_dataset("digits")
        train, test = (split.labels.bincount() for split in (data.train, data.test))
        assert ((train + test) / 5 - test).abs().max() < 1
        assert data.classes == tuple("0123456789")

    def test_preprocessing_is_measured_on_the_training_split(self):
        data = load_dataset("digits")
        pixels = data.train.images[:, 0].double() / 255
        assert data.preprocessing.mean == (round(pixels.mean().item(), 4),) * 3
        assert data.preprocessing.std == (round(pixels.std(correction=0).item(), 4),) * 3
        assert (data.preprocessing.size, data.preprocessing.resize) == (8, None)

    def test_it_is_always_the_same_split(self):
        first, second = load_dataset("digits"), load_dataset("digits")
        assert torch.equal(first.test.images, second.test.images)


class TestParquet:
    def test_small_images_are_decoded_into_memory(self, tmp_path, png, write_parquet):
        names = ["cat", "dog", "owl"]
        train = [png(row) for row in range(5)]
        write_parquet(tmp_path / "train-00000-of-00002.parquet", train[:3], [0, 1, 2], names=names)
        write_parquet(tmp_path / "train-00001-of-00002.parquet", train[3:], [1, 0], names=names)
        write_parquet(tmp_path / "test-00000-of-00001.parquet", [png(9)], [2], names=names)
        data = load_dataset(str(tmp_path))
        assert data.name == tmp_path.name
        assert data.classes == ("cat", "dog", "owl")
        assert isinstance(data.train, MemorySplit)
        assert isinstance(data.test, MemorySplit)
        assert data.train.labels.tolist() == [0, 1, 2, 1, 0]
        assert data.test.labels.tolist() == [2]
        pixels = np.stack(
            [np.random.default_rng(row).integers(0, 256, (8, 8, 3), np.uint8) for row in range(5)]
        )
        assert (data.train.images.permute(0, 2, 3, 1).numpy() == pixels).all()
        shares = pixels.reshape(-1, 3) / 255
        assert data.preprocessing.mean == tuple(shares.mean(0).round(4).tolist())
        assert data.preprocessing.std == tuple(shares.std(0).round(4).tolist())
        assert (data.preprocessing.size, data.preprocessing.resize) == (8, None)

    @pytest.mark.parametrize("names", [None, ["a", "b", "c"]])
    @pytest.mark.parametrize("folder", [".", "data"])
    def test_columns_of_cifar100_and_imagenet(self, tmp_path, png, write_parquet, names, folder):
        """Other columns, a folder below, no class names, a validation split alone."""
        path = tmp_path / folder / "validation-00000-of-00001.parquet"
        columns = ("image", "fine_label")
        write_parquet(path, [png(0), png(1)], [2, 0], names=names, columns=columns)
        data = load_dataset(str(tmp_path))
        assert data.train is None
        assert data.test.labels.tolist() == [2, 0]
        assert data.classes == (tuple(names) if names else ("0", "1", "2"))

    def test_validation_is_preferred_to_test(self, tmp_path, png, write_parquet):
        write_parquet(tmp_path / "validation-0.parquet", [png(0)], [0], names=["a"])
        write_parquet(tmp_path / "test-0.parquet", [png(1)], [-1], names=["a"])
        assert load_dataset(str(tmp_path)).test.labels.tolist() == [0]

    @pytest.mark.parametrize(
        "sizes", [[(65, 65)] * 2, [(8, 9)] * 2, [(8, 8), (9, 9)]], ids=["large", "oblong", "mixed"]
    )
    def test_other_images_are_decoded_when_read(self, tmp_path, png, write_parquet, sizes):
        images = [png(row, size) for row, size in enumerate(sizes)]
        write_parquet(tmp_path / "train-0.parquet", images, [0, 1], names=["a", "b"])
        write_parquet(tmp_path / "test-0.parquet", [png(7)], [1], names=["a", "b"])
        data = load_dataset(str(tmp_path))
        assert isinstance(data.train, FileSplit)
        assert isinstance(data.test, FileSplit)
        assert (data.preprocessing.size, data.preprocessing.resize) == (224, 256)
        loader = Loader(
            data.train,
            batch_size=2,
            preprocessing=data.preprocessing,
            augmentation=None,
            seed=0,
            shuffle=False,
            drop_last=False,
            device="cpu",
            workers=1,
        )
        (batch,) = loader.epoch(0)
        assert batch.images.shape == (2, 3, 224, 224)
        assert batch.labels.tolist() == [0, 1]

    def test_a_constant_channel_is_not_scaled(self, tmp_path, write_parquet):
        from PIL import Image

        Image.new("RGB", (8, 8), (255, 0, 51)).save(tmp_path / "image.png")
        black = (tmp_path / "image.png").read_bytes()
        write_parquet(tmp_path / "train-0.parquet", [black], [0])
        preprocessing = load_dataset(str(tmp_path)).preprocessing
        assert (preprocessing.mean, preprocessing.std) == ((1.0, 0.0, 0.2), (1.0, 1.0, 1.0))


class TestClassFolders:
    @pytest.mark.parametrize("evaluation", ["test", "val", "validation"])
    def test_classes_are_the_folders_in_order(self, tmp_path, png, write_files, evaluation):
        files = {
            "train/owl/1.png": png(0),
            "train/cat/2.PNG": png(1),
            "train/cat/1.jpg": png(2),
            "train/cat/notes.txt": b"",
            "train/.hidden/1.png": b"",
            f"{evaluation}/owl/1.jpeg": png(3),
        }
        write_files(tmp_path, files)
        data = load_dataset(str(tmp_path))
        assert data.classes == ("cat", "owl")
        assert data.train.labels.tolist() == [0, 0, 1]
        assert data.test.labels.tolist() == [1]
        expected = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        assert (data.train.images[0].permute(1, 2, 0).numpy() == expected).all()

    def test_one_split_is_enough(self, tmp_path, png, write_files):
        write_files(tmp_path, {"val/a/1.png": png(0, (70, 90)), "val/b/1.png": png(1, (90, 70))})
        data = load_dataset(str(tmp_path))
        assert data.train is None
        assert isinstance(data.test, FileSplit)
        assert data.classes == ("a", "b")
        assert Path(data.test.images[1]["path"]) == tmp_path / "val/b/1.png"
