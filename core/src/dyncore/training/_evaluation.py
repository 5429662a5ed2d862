"""What an evaluation found, image by image, and its file."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dyncore.data import DataFileError
from dyncore.files import replacing
from dyncore.training._about import About

Array = np.ndarray

_DESCRIBED = ("blocks", "gated", "static_macs")
"""Keys of the file's metadata."""


@dataclass(frozen=True)
class Evaluation:
    """One row per image, in the order of the split."""

    label: Array
    prediction: Array
    macs: Array
    """MACs executed, routers included (sequential accounting)."""
    path: Array
    """(image, path) bool: every path of every block."""
    channels: Array | None
    """(image, channel) bool: every gated channel; None without channel gating."""
    blocks: Array
    """(path,) the block that each column of ``path`` belongs to."""
    gated: Array
    """(path,) bool: whether the column is decided at all."""
    static_macs: int
    parallel_macs: Array | None = None
    """MACs in parallel accounting; None without channel gating, where both are the same."""
    in_top5: Array | None = None
    """bool: whether the label is among the five largest logits; None for five classes or fewer."""
    channel_blocks: Array | None = None
    """(channel,) the block that each column of ``channels`` belongs to; None in older files."""
    about: About = field(default_factory=About)
    """What was evaluated, as far as it is known."""

    @property
    def accuracy(self) -> float:
        """Share of images whose prediction is right, in 0 … 1."""
        return float((self.label == self.prediction).mean())

    @property
    def top5_accuracy(self) -> float | None:
        """Share of images whose label is among the five likeliest classes, in 0 … 1."""
        return None if self.in_top5 is None else float(self.in_top5.mean())

    @property
    def mean_macs(self) -> float:
        return float(self.macs.mean())

    @property
    def macs_ratio(self) -> float:
        """Mean MACs over the static backbone's."""
        return self.mean_macs / self.static_macs

    @property
    def parallel_macs_ratio(self) -> float | None:
        """The same in parallel accounting: LC-Net's first convolution runs while gates decide."""
        if self.parallel_macs is None:
            return None
        return float(self.parallel_macs.mean()) / self.static_macs

    @property
    def execution_rate(self) -> float:
        """Mean over images and gated paths; 1 where nothing is gated."""
        return float(self.path[:, self.gated].mean()) if self.gated.any() else 1.0

    @property
    def block_rates(self) -> list[float]:
        """Execution rate of each block."""
        rates = self.path.mean(0)
        return [float(rates[self.blocks == block].mean()) for block in np.unique(self.blocks)]

    @property
    def path_counts(self) -> Array:
        """How many images took each distinct execution path, the most frequent first.

        With channel gating, the decisions on channels are part of the path.
        """
        parts = [self.path] if self.channels is None else [self.path, self.channels]
        return np.sort(np.unique(np.hstack(parts), axis=0, return_counts=True)[1])[::-1]

    @property
    def path_entropy(self) -> float:
        """Entropy of the distribution of execution paths, in bits."""
        share = self.path_counts / len(self.path)
        return float(-(share * np.log2(share)).sum()) + 0.0

    def metrics(self) -> dict[str, float]:
        """The summary that is logged and saved with the model; what does not apply is left out."""
        found = {
            "accuracy": self.accuracy,
            "top5_accuracy": self.top5_accuracy,
            "mean_macs": self.mean_macs,
            "macs_ratio": self.macs_ratio,
            "parallel_macs_ratio": self.parallel_macs_ratio,
            "execution_rate": self.execution_rate,
            "path_entropy_bits": self.path_entropy,
            "distinct_paths": float(len(self.path_counts)),
        }
        return {name: value for name, value in found.items() if value is not None}

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write a parquet file: index, label, prediction, macs, path; the rest where it applies."""
        columns = {
            "index": pa.array(np.arange(len(self.label))),
            "label": pa.array(self.label),
            "prediction": pa.array(self.prediction),
            "macs": pa.array(self.macs),
            "path": _lists(self.path),
        }
        if self.channels is not None:
            columns["channels"] = _lists(self.channels)
        for name, values in (("parallel_macs", self.parallel_macs), ("in_top5", self.in_top5)):
            if values is not None:
                columns[name] = pa.array(values)
        described = {
            "blocks": " ".join(map(str, self.blocks)),
            "gated": " ".join(str(int(gated)) for gated in self.gated),
            "static_macs": str(self.static_macs),
            "about": self.about.to_json(),
        }
        if self.channel_blocks is not None:
            described["channel_blocks"] = " ".join(map(str, self.channel_blocks))
        target = Path(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            pq.write_table(pa.table(columns, metadata=described), temporary)

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> "Evaluation":
        """Read what :meth:`save` wrote. Raises DataFileError for any other file."""
        try:
            with pq.ParquetFile(file) as opened:
                table = opened.read()
            return _read(table)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataFileError(
                f"{file} is not an evaluation file: {str(error)[:300]}; write it with 'dyn eval'"
            ) from error


def _read(table: pa.Table) -> Evaluation:
    metadata = table.schema.metadata or {}
    described = {key: metadata.get(key.encode(), b"").decode() for key in _DESCRIBED}
    blocks = np.array([int(block) for block in described["blocks"].split()])
    gated = np.array([bool(("0", "1").index(gated)) for gated in described["gated"].split()])
    static_macs = int(described["static_macs"])
    if not len(table) or not len(blocks) or len(gated) != len(blocks) or static_macs < 1:
        raise ValueError("it has no rows, or its metadata (blocks, gated, static_macs) is wrong")
    if blocks[0] < 0 or not set(np.diff(blocks)) <= {0, 1}:
        raise ValueError("its blocks are not in order")
    channels = _rows_of(table, "channels") if "channels" in table.schema.names else None
    about = metadata.get(b"about")
    return Evaluation(
        **{name: _integers(table, name) for name in ("label", "prediction", "macs")},
        path=_rows_of(table, "path", len(blocks)),
        channels=channels,
        parallel_macs=_if_there(table, "parallel_macs", pa.types.is_integer),
        in_top5=_if_there(table, "in_top5", pa.types.is_boolean),
        blocks=blocks,
        gated=gated,
        static_macs=static_macs,
        channel_blocks=_channel_blocks(metadata.get(b"channel_blocks"), channels, blocks),
        about=About() if about is None else About.from_json(about.decode()),
    )


def _channel_blocks(text: bytes | None, channels: Array | None, blocks: Array) -> Array | None:
    if text is None:
        return None
    found = np.array([int(block) for block in text.decode().split()])
    width = 0 if channels is None else channels.shape[1]
    if len(found) != width or (np.diff(found) < 0).any() or not set(found) <= set(blocks):
        raise ValueError("its channel_blocks are not the blocks of its channels")
    return found


def _column(table: pa.Table, name: str) -> pa.Array:
    if table.schema.names.count(name) != 1 or table[name].null_count:
        raise ValueError(f"it has no column {name}, or not in every row")
    return pa.concat_arrays(table[name].chunks)


def _integers(table: pa.Table, name: str) -> Array:
    return _plain(_column(table, name), name, pa.types.is_integer)


def _if_there(table: pa.Table, name: str, fits: Callable[[pa.DataType], bool]) -> Array | None:
    """A column that older files lack, and files of models that it does not apply to."""
    if name not in table.schema.names:
        return None
    return _plain(_column(table, name), name, fits)


def _plain(column: pa.Array, name: str, fits: Callable[[pa.DataType], bool]) -> Array:
    if not fits(column.type):
        wanted = "whole numbers" if fits is pa.types.is_integer else "booleans"
        raise ValueError(f"its column {name} holds {column.type}, expected {wanted}")
    return column.to_numpy(zero_copy_only=False)


def _rows_of(table: pa.Table, name: str, width: int | None = None) -> Array:
    column = _column(table, name)
    kind = column.type
    fits = pa.types.is_fixed_size_list(kind) and pa.types.is_boolean(kind.value_type)
    if not fits or (width or kind.list_size) != kind.list_size or column.flatten().null_count:
        raise ValueError(f"its column {name} holds {kind}, expected {width or 'some'} booleans")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), kind.list_size)


def _lists(rows: Array) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
