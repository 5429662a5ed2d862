"""Whatever is wrong with a data set is said by file, row or column, with what to do."""

import re

import datasets
import huggingface_hub
import pytest

from dyncore.data import load_dataset

NAMES = ["cat", "dog"]


@pytest.mark.parametrize("source", ["no-such-folder", "./a/b/c", "/nowhere"])
def test_missing_folder(source):
    with pytest.raises(FileNotFoundError, match=re.escape(source) + ".*no such folder.*'digits'"):
        load_dataset(source)


def test_a_file_is_no_data_set(tmp_path, png, write_parquet):
    write_parquet(tmp_path / "train-0.parquet", [png(0)], [0])
    with pytest.raises(FileNotFoundError, match=r"train-0\.parquet: there is no such folder"):
        load_dataset(str(tmp_path / "train-0.parquet"))


def test_hub_out_of_reach(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    message = "'uoft-cs/cifar10' is no local folder, and the Hub cannot be reached.*use 'digits'"
    with pytest.raises(FileNotFoundError, match=message):
        load_dataset("uoft-cs/cifar10")


def test_nothing_usable(tmp_path, write_files):
    write_files(tmp_path, {"images/cat/1.png": b"", "train.zip": b""})
    with pytest.raises(FileNotFoundError, match=r"no data set in this folder") as error:
        load_dataset(str(tmp_path))
    assert str(tmp_path) in str(error.value)
    assert "train-*.parquet" in str(error.value)
    assert "train/CLASS/*.png" in str(error.value)


class TestParquet:
    @pytest.fixture
    def load(self, tmp_path, write_parquet):
        """Write a test split and load it."""

        def write_and_load(images, labels, **options):
            write_parquet(tmp_path / "test-0.parquet", images, labels, **options)
            return load_dataset(str(tmp_path))

        return write_and_load

    def test_no_parquet_at_all(self, tmp_path, write_files):
        write_files(tmp_path, {"test-0.parquet": b"PAR1 and no more"})
        with pytest.raises(ValueError, match=r"test-0\.parquet: .*not a readable parquet file"):
            load_dataset(str(tmp_path))

    def test_damaged_parquet(self, tmp_path, load, png):
        load([png(row) for row in range(20)], [0] * 20)
        path = tmp_path / "test-0.parquet"
        content = bytearray(path.read_bytes())
        content[4:2000] = bytes(1996)
        path.write_bytes(content)
        with pytest.raises(ValueError, match="parquet files cannot be read"):
            load_dataset(str(tmp_path))

    @pytest.mark.parametrize(
        ("columns", "missing"), [(("img", "y"), "label"), (("x", "label"), "image")]
    )
    def test_missing_column(self, load, png, columns, missing):
        message = rf"test split: there is no {missing} column.*columns are {', '.join(columns)}"
        with pytest.raises(ValueError, match=message):
            load([png(0)], [0], columns=columns)

    def test_empty_split(self, load):
        with pytest.raises(ValueError, match="test split: it is empty; add rows or remove"):
            load([], [], names=NAMES)

    @pytest.mark.parametrize("label", [2, -1])
    def test_label_outside_the_classes(self, load, png, label):
        message = rf"test split, row 1: label {label} is outside the 2 classes \(0 to 1\)"
        with pytest.raises(ValueError, match=message):
            load([png(0), png(1)], [0, label], names=NAMES)

    def test_label_outside_the_classes_of_training(self, tmp_path, load, png, write_parquet):
        write_parquet(tmp_path / "train-0.parquet", [png(0), png(1)], [0, 1])
        with pytest.raises(ValueError, match="test split, row 0: label 2 is outside the 2 classes"):
            load([png(0)], [2])

    def test_missing_label(self, load, png):
        with pytest.raises(ValueError, match="test split, row 1: label None is outside"):
            load([png(0), png(1)], [0, None], names=NAMES)

    @pytest.mark.parametrize("label", ["cat", 0.5])
    def test_labels_are_no_numbers(self, load, png, label):
        with pytest.raises(ValueError, match="column 'label' must hold class numbers"):
            load([png(0)], [label])

    def test_labels_are_images(self, load, png):
        with pytest.raises(ValueError, match="column 'label' must hold class numbers"):
            load([png(0)], [{"bytes": png(0), "path": None}])

    def test_images_are_numbers(self, load, tmp_path):
        import pyarrow as pa
        import pyarrow.parquet

        table = pa.table({"img": [1], "label": [0]})
        pyarrow.parquet.write_table(table, tmp_path / "train-0.parquet")
        with pytest.raises(ValueError, match=r"column 'img' must hold encoded images.*int64"):
            load_dataset(str(tmp_path))

    @pytest.mark.parametrize("length", [0, 20, 100])
    def test_damaged_small_image(self, load, png, length):
        with pytest.raises(ValueError, match="test split, row 1: this is not a readable image"):
            load([png(0), png(1)[:length]], [0, 0], names=NAMES)

    def test_missing_image(self, load, png):
        with pytest.raises(ValueError, match="test split, row 1: there is no image"):
            load([png(0), None], [0, 0], names=NAMES)


class TestClassFolders:
    def test_no_class_folders(self, tmp_path, png, write_files):
        write_files(tmp_path, {"train/1.png": png(0)})
        with pytest.raises(FileNotFoundError, match=r"train: there are no class folders"):
            load_dataset(str(tmp_path))

    def test_class_without_images(self, tmp_path, png, write_files):
        write_files(tmp_path, {"train/cat/1.png": png(0), "train/dog/1.txt": b""})
        with pytest.raises(FileNotFoundError, match=r"dog: there is no image .*\.jpeg"):
            load_dataset(str(tmp_path))

    def test_class_that_training_does_not_know(self, tmp_path, png, write_files):
        write_files(tmp_path, {"train/cat/1.png": png(0), "test/dog/1.png": png(1)})
        with pytest.raises(ValueError, match="dog: the training split has no class 'dog'"):
            load_dataset(str(tmp_path))

    def test_damaged_image(self, tmp_path, png, write_files):
        write_files(tmp_path, {"train/cat/1.png": png(0), "train/cat/2.png": b"no image"})
        message = r"train split, row 1 \(.*2\.png\): this is not a readable image"
        with pytest.raises(ValueError, match=message):
            load_dataset(str(tmp_path))
