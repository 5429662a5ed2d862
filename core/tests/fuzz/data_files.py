"""Images, folders of them, and data sets in parquet files."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import damage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from target import Target, dumps, perhaps, surely

import dyncore
from dyncore.data import Loader, load_dataset
from dyncore.data._decode import decode

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def picture(random: Random, side: int, kind: str) -> bytes:
    pixels = np.frombuffer(random.randbytes(side * side * 3), np.uint8).reshape(side, side, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side + 3)).save(file, kind)
    return file.getvalue()


def pictures(folder: Path) -> list[bytes]:
    return [picture(Random(kind), side, kind) for kind in FORMATS for side in (8, 40)]


def in_picture(images: list[bytes], folder: Path, change: Any, random: Random) -> Path:
    (folder / "image").write_bytes(change(random, random.choice(images)))
    return folder / "image"


def read_picture(file: Path) -> None:
    """What passes the check of skip_corrupt is read later, too."""
    image: Any = {"bytes": file.read_bytes(), "path": None}
    try:
        decode(image, "row 0", draft=True)
    except dyncore.DataFileError:
        decode(image, "row 0")
        return
    try:
        decode(image, "row 0")
    except dyncore.DataFileError as error:
        raise AssertionError("it passed the check, but cannot be read") from error


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def whole_table(folder: Path) -> dict[str, Any]:
    """Columns of a small data set."""
    return {
        "img": [{"bytes": picture(Random(n), 8, "PNG"), "path": f"{n}.png"} for n in range(12)],
        "label": [n % 3 for n in range(12)],
    }


METADATA = {
    "info": {
        "features": {
            "img": {"_type": "Image"},
            "label": {"names": ["ant", "bee", "cow"], "_type": "ClassLabel"},
        }
    }
}


def parquet(columns: dict[str, Any], metadata: Any = None, image: Any = IMAGE) -> bytes:
    arrays = {
        name: pa.array(values, image) if name == "img" else pa.array(values)
        for name, values in columns.items()
    }
    table = pa.table(arrays)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else dumps(metadata)
        table = table.replace_schema_metadata({"huggingface": text.encode("utf-8", "replace")})
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def in_bytes(change: damage.Bytes) -> Callable[[Random, dict[str, Any]], bytes]:
    def write(random: Random, columns: dict[str, Any]) -> bytes:
        return change(random, parquet(columns, random.choice([None, METADATA])))

    return write


def in_metadata(change: damage.Json) -> Callable[[Random, dict[str, Any]], bytes]:
    def write(random: Random, columns: dict[str, Any]) -> bytes:
        return parquet(columns, change(random, json.loads(json.dumps(METADATA))))

    return write


def column_missing(random: Random, columns: dict[str, Any]) -> bytes:
    del columns[random.choice(list(columns))]
    return parquet(columns | random.choice([{}, {"other": [0] * 12}, {"Label": [0] * 12}]))


def column_retyped(random: Random, columns: dict[str, Any]) -> bytes:
    wrong: list[list[Any]] = [
        ["x"] * 12,
        [1.5] * 12,
        [None] * 12,
        [b"x"] * 12,
        [[1]] * 12,
        [{"bytes": 7, "path": 7}] * 12,
        [{"bytes": b"x"}] * 12,
        [True] * 12,
    ]
    name = random.choice(list(columns))
    columns[name] = random.choice(wrong)
    return parquet(columns, random.choice([None, METADATA]), image=None)


def label_absurd(random: Random, columns: dict[str, Any]) -> bytes:
    numbers = [-1, 10**5, 10**9, 2**62, -(2**62), None, 3]
    named = random.choice([None, METADATA])
    choice = random.choice(numbers if named else [n for n in numbers if n != 3])
    columns["label"][random.randrange(12)] = choice
    return parquet(columns, named)


def image_path(random: Random, columns: dict[str, Any]) -> bytes:
    """A row names a file of this machine instead of holding an image."""
    paths = [str(Path(__file__)), "/etc/passwd", "/dev/zero", "../../x.png", "~/x.png", "\0", ""]
    row = columns["img"][random.randrange(12)]
    row["bytes"], row["path"] = None, random.choice(paths)
    return parquet(columns, random.choice([None, METADATA]))


def image_damaged(random: Random, columns: dict[str, Any]) -> bytes:
    row = columns["img"][random.randrange(12)]
    half = row["bytes"][: len(row["bytes"]) // 2]  # without its last bytes, a PNG is still read
    row["bytes"] = random.choice([damage.truncated, damage.noise])(random, half)
    return parquet(columns, random.choice([None, METADATA]))


def in_table(columns: Any, folder: Path, change: Any, random: Random) -> Path:
    fresh = {"img": [dict(row) for row in columns["img"]], "label": list(columns["label"])}
    (folder / "test-0.parquet").write_bytes(change(random, fresh))
    return folder


def whole_folder(folder: Path) -> list[bytes]:
    return [picture(Random(n), 70, random) for n, random in enumerate(["PNG", "JPEG"] * 2)]


def in_folder(images: list[bytes], folder: Path, change: Any, random: Random) -> Path:
    damaged = random.randrange(len(images))
    for n, data in enumerate(images):
        file = folder / "test" / "ab"[n % 2] / f"{n}.{'png' if n % 2 else 'jpg'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(change(random, data) if n == damaged else data)
    return folder


def read_data(folder: Path) -> None:
    """Strictly; and with skip_corrupt, when everything that is left must be readable."""
    try:
        list(_loader(load_dataset(str(folder))).epoch(0))
    except dyncore.DataFileError as error:
        if "not a readable image" in str(error) or "there is no image" in str(error):
            list(_loader(load_dataset(str(folder), skip_corrupt=True)).epoch(0))
        raise


def _loader(dataset: dyncore.data.Dataset) -> Loader:
    return Loader(
        dataset.test,
        batch_size=4,
        preprocessing=replace(dataset.preprocessing, size=8, resize=None),
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        device="cpu",
    )


TARGETS = {
    "image": Target(
        dyncore.DataFileError,
        pictures,
        perhaps(damage.BYTES | {"start changed": damage.start_flipped}),
        in_picture,
        read_picture,
    ),
    "image folder": Target(
        dyncore.DataFileError,
        whole_folder,
        perhaps(damage.BYTES | {"start changed": damage.start_flipped}),
        in_folder,
        read_data,
    ),
    "data.parquet": Target(
        dyncore.DataFileError,
        whole_table,
        surely(
            {
                "truncated": in_bytes(damage.truncated),
                "column missing": column_missing,
                "label absurd": label_absurd,
                "image only named": image_path,
                "image damaged": image_damaged,
            }
        )
        | perhaps(
            {
                "column of another type": column_retyped,
                "bytes changed": in_bytes(damage.flipped),
                "end changed": in_bytes(damage.end_flipped),
                "metadata key missing": in_metadata(damage.missing),
                "metadata wrong type": in_metadata(damage.retyped),
                "metadata strange name": in_metadata(damage.renamed),
                "metadata nested": in_metadata(damage.nested),
            }
        ),
        in_table,
        read_data,
    ),
}
