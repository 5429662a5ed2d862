"""What an evaluation writes: a parquet file with columns and metadata of its own."""

import io
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import damage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from target import Target, perhaps, surely

import dyncore
from dyncore.training import About, Evaluation

OPTIONAL = ("index", "channels", "parallel_macs", "in_top5")
"""Columns that a file can be without."""


def whole_evaluation(folder: Path) -> bytes:
    random = np.random.default_rng(0)
    Evaluation(
        label=random.integers(0, 3, 9),
        prediction=random.integers(0, 3, 9),
        macs=random.integers(1, 99, 9),
        path=random.random((9, 4)) < 0.5,
        channels=random.random((9, 6)) < 0.5,
        blocks=np.array([0, 1, 1, 2]),
        gated=np.array([False, True, True, True]),
        static_macs=50,
        parallel_macs=random.integers(1, 99, 9),
        in_top5=random.random(9) < 0.5,
        channel_blocks=np.array([1, 1, 1, 2, 2, 2]),
        about=About("a", "b", ("c", "d", "e")),
    ).save(folder / "evaluation.parquet")
    return (folder / "evaluation.parquet").read_bytes()


def in_evaluation(whole: bytes, folder: Path, change: Any, random: Random) -> Path:
    (folder / "evaluation.parquet").write_bytes(change(random, whole))
    return folder / "evaluation.parquet"


def rewritten(change: Callable[[Random, pa.Table], pa.Table]) -> damage.Bytes:
    def write(random: Random, data: bytes) -> bytes:
        file = io.BytesIO()
        pq.write_table(change(random, pq.read_table(io.BytesIO(data))), file)
        return file.getvalue()

    return write


def evaluation_column_missing(random: Random, table: pa.Table) -> pa.Table:
    names = [name for name in table.column_names if name not in OPTIONAL]
    return table.drop_columns(random.sample(names, random.choice([1, 2])))


def evaluation_column_retyped(random: Random, table: pa.Table) -> pa.Table:
    name = random.choice([name for name in table.column_names if name != "index"])
    wrong: list[Any] = [
        ["x"] * 9, [None] * 9, [float("nan")] * 9, [0.5] * 9, [[True]] * 8 + [[]],
        [[True] * 3] * 9, [[None] * 4] * 9, [["x"] * 4] * 9, [{"a": 1}] * 9, [-1] * 9,
        [[7] * 4] * 9,
    ]  # fmt: skip
    number = table.column_names.index(name)
    return table.set_column(number, name, pa.array(random.choice(wrong)))


def evaluation_metadata(random: Random, table: pa.Table) -> pa.Table:
    metadata = dict(table.schema.metadata)
    key = random.choice([b"blocks", b"gated", b"static_macs", b"channel_blocks", b"about"])
    wrong = [
        b"",
        b"x",
        b"1 2",
        b"-1",
        b"0",
        b"9" * 5000,
        b"\xff",
        b"1.5",
        b"nan",
        b"0 " * 99,
        b"{}",
    ]
    metadata[key] = random.choice(wrong)
    if random.random() < 0.3:
        del metadata[key]
    return table.replace_schema_metadata(metadata)


TARGETS = {
    "evaluation.parquet": Target(
        dyncore.DataFileError,
        whole_evaluation,
        surely(
            {
                "truncated": damage.truncated,
                "column missing": rewritten(evaluation_column_missing),
            }
        )
        | perhaps(
            {
                "bytes changed": damage.flipped,
                "end changed": damage.end_flipped,
                "noise": damage.noise,
                "column of another type": rewritten(evaluation_column_retyped),
                "metadata": rewritten(evaluation_metadata),
            }
        ),
        in_evaluation,
        lambda file: Evaluation.load(file).metrics(),
    ),
}
