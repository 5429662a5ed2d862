"""Makes small data sets on disk."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

PARQUET_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the `datasets` library out of the user's cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """A PNG file of random pixels: png(seed, (width, height), mode)."""

    def encode(seed: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
        width, height = size
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(file, "PNG")
        return file.getvalue()

    return encode


@pytest.fixture
def write_parquet() -> Callable[..., None]:
    """Write a parquet file in the Hub's layout; `names` puts the classes into its metadata."""

    def write(
        path: Path,
        images: Sequence[bytes | None],
        labels: Sequence[object],
        *,
        names: Sequence[str] | None = None,
        columns: tuple[str, str] = ("img", "label"),
    ) -> None:
        cells = [None if image is None else {"bytes": image, "path": None} for image in images]
        arrays = [pa.array(cells, PARQUET_IMAGE), pa.array(labels, None if labels else pa.int64())]
        table = pa.table(dict(zip(columns, arrays, strict=True)))
        if names is not None:
            features = {
                columns[0]: {"_type": "Image"},
                columns[1]: {"names": list(names), "_type": "ClassLabel"},
            }
            metadata = {"huggingface": json.dumps({"info": {"features": features}})}
            table = table.replace_schema_metadata(metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path)

    return write


@pytest.fixture
def write_files() -> Callable[[Path, dict[str, bytes]], None]:
    """Write files by their path in a folder."""

    def write(folder: Path, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return write
