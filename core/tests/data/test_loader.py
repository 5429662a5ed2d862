import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dyncore.data import (
    Batch,
    CropFlip,
    FileSplit,
    Loader,
    MemorySplit,
    Preprocessing,
    RandomResizedCropFlip,
    Split,
)

ROWS = 23
PREPROCESSING = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=8)
LARGE = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), size=12, resize=16)


@pytest.fixture
def memory() -> MemorySplit:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (ROWS, 3, 8, 8), generator=generator).to(torch.uint8)
    return MemorySplit(images, torch.arange(ROWS) % 5)


@pytest.fixture
def files(tmp_path: Path, png: Callable[..., bytes]) -> FileSplit:
    """Images of several sizes and modes, some as bytes, some as files."""
    images = []
    for row in range(ROWS):
        encoded = png(row, (20 + row, 40 - row), ["RGB", "L", "P"][row % 3])
        path = tmp_path / f"{row}.png"
        path.write_bytes(encoded)
        by_bytes = {"bytes": encoded, "path": None}
        images.append({"bytes": None, "path": str(path)} if row % 2 else by_bytes)
    return FileSplit(images, torch.arange(ROWS) % 5, "some split")


@pytest.fixture(params=["memory", "files"])
def training(request: pytest.FixtureRequest) -> Callable[..., Loader]:
    """Make a loader of either kind of split, as training uses it."""
    split = request.getfixturevalue(request.param)
    kinds = {
        "memory": {"preprocessing": PREPROCESSING, "augmentation": CropFlip(padding=2)},
        "files": {"preprocessing": LARGE, "augmentation": RandomResizedCropFlip()},
    }
    common = {"seed": 3, "shuffle": True, "drop_last": True, "device": "cpu", "batch_size": 6}

    def make(**changes: object) -> Loader:
        return Loader(split, **(common | kinds[request.param] | changes))

    return make


def evaluation(split: Split, preprocessing: Preprocessing, **changes: object) -> Loader:
    settings = {"augmentation": None, "seed": 0, "shuffle": False, "drop_last": False}
    common = {"preprocessing": preprocessing, "batch_size": 6, "device": "cpu"}
    return Loader(split, **(settings | common | changes))


def assert_equal(batches: list[Batch], others: list[Batch]) -> None:
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert torch.equal(batch.index, other.index)
        assert torch.equal(batch.labels, other.labels)
        assert torch.equal(batch.images, other.images)


def joined(shares: tuple[Batch, ...]) -> Batch:
    return Batch(
        images=torch.cat([share.images for share in shares]),
        labels=torch.cat([share.labels for share in shares]),
        index=torch.cat([share.index for share in shares]),
    )


def indices(loader: Loader, epoch: int = 0) -> list[int]:
    return torch.cat([batch.index for batch in loader.epoch(epoch)]).tolist()


def test_an_epoch_reads_every_row_once(training):
    loader = training(drop_last=False)
    assert loader.steps_per_epoch == 4
    orders = [indices(loader, epoch) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(ROWS)) for order in orders)
    assert orders[0] != orders[1]
    assert orders[0] == indices(training(drop_last=False))
    assert orders[0] != indices(training(drop_last=False, seed=4))


def test_a_loader_is_its_first_epoch_each_time(training):
    loader = training()
    assert_equal(list(loader), list(loader.epoch(0)))
    assert_equal(list(loader), list(loader.epoch(0)))


def test_drop_last_leaves_out_what_does_not_fill_a_batch(training):
    loader = training()
    assert loader.steps_per_epoch == 3
    assert [len(batch.index) for batch in loader.epoch(0)] == [6, 6, 6]
    assert indices(loader) == indices(training(drop_last=False))[:18]


def test_labels_and_index_belong_to_the_images(memory, files):
    for split, preprocessing in ((memory, PREPROCESSING), (files, LARGE)):
        loader = evaluation(split, preprocessing)
        shuffled = evaluation(split, preprocessing, shuffle=True)
        plain = joined(tuple(loader.epoch(0)))
        assert plain.index.tolist() == list(range(ROWS))
        mixed = joined(tuple(shuffled.epoch(0)))
        assert torch.equal(mixed.images, plain.images[mixed.index])
        assert torch.equal(mixed.labels, mixed.index % 5)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_together_read_what_one_reads(training, world_size):
    shares = [training(rank=rank, world_size=world_size).epoch(1) for rank in range(world_size)]
    together = [joined(parts) for parts in zip(*shares, strict=True)]
    assert_equal(together, list(training().epoch(1)))


@pytest.mark.parametrize("batch_size", [6, 7, 11])
@pytest.mark.parametrize("kind", ["memory", "files"])
def test_processes_share_a_ragged_evaluation(request, kind, batch_size):
    """A last batch of 5, 2 and 1 images is shared by 3 processes."""
    split = request.getfixturevalue(kind)
    loaders = [
        evaluation(split, PREPROCESSING, batch_size=batch_size, rank=rank, world_size=3)
        for rank in range(3)
    ]
    together = []
    for parts in zip(*(loader.epoch(0) for loader in loaders), strict=True):
        sizes = [len(part.index) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        assert all(part.images.shape == (len(part.index), 3, 8, 8) for part in parts)
        together.append(joined(parts))
    assert_equal(together, list(evaluation(split, PREPROCESSING, batch_size=batch_size).epoch(0)))


@pytest.mark.parametrize("start", [0, 1, 3])
def test_an_epoch_resumes_in_the_middle(training, start):
    assert_equal(list(training().epoch(2, start)), list(training().epoch(2))[start:])


def test_augmentation_changes_with_step_epoch_and_seed(memory):
    """Ten times the same image: nothing differs but the draws."""
    same = MemorySplit(memory.images[:1].repeat(60, 1, 1, 1), memory.labels[:1].repeat(60))

    def read(seed: int, epoch: int) -> list[torch.Tensor]:
        settings = {"augmentation": CropFlip(), "batch_size": 20, "seed": seed}
        loader = evaluation(same, PREPROCESSING, **settings)
        return [batch.images for batch in loader.epoch(epoch)]

    seen = [*read(0, 0), *read(0, 1), *read(1, 0), *read(1, 1)]
    assert len({images.numpy().tobytes() for images in seen}) == 12


def test_workers_have_no_influence(files):
    settings = {"augmentation": RandomResizedCropFlip(), "shuffle": True}
    alone = list(evaluation(files, LARGE, **settings).epoch(0))
    assert_equal(alone, list(evaluation(files, LARGE, workers=2, **settings).epoch(0)))


def test_cuts_of_files_change_with_position_epoch_and_seed(png):
    """Eight times the same image: nothing differs but the draws."""
    images = [{"bytes": png(0, (40, 30)), "path": None}] * 8
    split = FileSplit(images, torch.zeros(8, dtype=torch.long), "eight times the same")
    seen = set()
    for seed in (0, 1):
        loader = evaluation(split, LARGE, augmentation=RandomResizedCropFlip(), seed=seed)
        for epoch in (0, 1):
            for batch in loader.epoch(epoch):
                seen |= {image.numpy().tobytes() for image in batch.images}
    assert len(seen) == 8 * 2 * 2


def test_loading_leaves_torchs_generator_alone(training):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    list(training().epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_of_files_is_the_transform(files):
    batch = joined(tuple(evaluation(files, LARGE).epoch(0)))
    normalized = LARGE.normalize(batch.images)
    transform = LARGE.transform()
    for row, image in enumerate(files.images):
        source = image["path"] or io.BytesIO(image["bytes"])
        torch.testing.assert_close(normalized[row], transform(Image.open(source).convert("RGB")))


def test_images_in_memory_are_read_as_they_are(memory):
    batch = joined(tuple(evaluation(memory, PREPROCESSING).epoch(0)))
    assert batch.images.dtype == torch.float32
    torch.testing.assert_close(batch.images, memory.images / 255)


def test_images_in_memory_are_resized_to_what_the_network_wants(memory):
    batch = joined(tuple(evaluation(memory, LARGE).epoch(0)))
    transform = LARGE.transform()
    for row, image in enumerate(memory.images):
        wanted = transform(Image.fromarray(np.asarray(image.permute(1, 2, 0))))
        difference = LARGE.normalize(batch.images)[row] - wanted
        assert difference.abs().max() < 1.5 / 255 / min(LARGE.std)  # one grey level


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 24}, "23 images, fewer than one batch of 24"),
        ({"batch_size": 6, "world_size": 4}, "batch_size 6 .* multiple of their number, 4"),
        ({"rank": 2, "world_size": 2}, "rank must be in 0 to world_size - 1 = 1, not 2"),
        ({"workers": -1}, "workers must be at least 0"),
    ],
)
def test_bad_arguments_are_refused(training, changes, message):
    with pytest.raises(ValueError, match=message):
        training(**changes)


def test_start_step_beyond_the_epoch_is_refused(training):
    with pytest.raises(ValueError, match="start_step must be in 0 to steps_per_epoch = 3, not 4"):
        training().epoch(0, 4)


def test_augmentation_must_fit_the_split(memory, files):
    with pytest.raises(ValueError, match="must be CropFlip or None for a MemorySplit"):
        evaluation(memory, PREPROCESSING, augmentation=RandomResizedCropFlip())
    with pytest.raises(ValueError, match="must be RandomResizedCropFlip or None for a FileSplit"):
        evaluation(files, LARGE, augmentation=CropFlip())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_named_when_it_is_read(files, workers):
    Path(files.images[13]["path"]).write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"^some split, row 13 \(.*13\.png\): this is not a readable"
    ):
        list(evaluation(files, LARGE, workers=workers).epoch(0))
