"""The figures of an evaluation against counting, and its file."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import log2

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dyncore.training import About, Evaluation


@st.composite
def evaluations(draw):
    images = draw(st.integers(1, 12))
    widths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    gated = [draw(st.booleans()) for _ in widths]
    channels = draw(st.sampled_from([0, 5]))
    channel_blocks = draw(st.lists(st.integers(0, len(widths) - 1), min_size=5, max_size=5))
    names = st.text(st.characters(categories=["L", "P"]), max_size=9)

    def array(dtype, *shape, **elements):
        return draw(hnp.arrays(dtype, (images, *shape), elements=elements.get("elements")))

    return Evaluation(
        label=array(np.int64, elements=st.integers(0, 2)),
        prediction=array(np.int64, elements=st.integers(0, 2)),
        macs=array(np.int64, elements=st.integers(1, 10**12)),
        path=array(np.bool_, sum(widths)),
        channels=array(np.bool_, channels) if channels else None,
        blocks=np.repeat(np.arange(len(widths)), widths),
        gated=np.repeat(np.array(gated), widths),
        static_macs=draw(st.integers(1, 10**10)),
        parallel_macs=array(np.int64, elements=st.integers(1, 10**12)) if channels else None,
        in_top5=draw(st.sampled_from([None, array(np.bool_)])),
        channel_blocks=np.array(sorted(channel_blocks)) if channels else None,
        about=About(draw(names), draw(names), tuple(draw(st.lists(names, max_size=3)))),
    )


@given(evaluations())
def test_summary_equals_counting(evaluation):
    rows = evaluation.path.tolist()
    right = sum(
        label == prediction
        for label, prediction in zip(evaluation.label, evaluation.prediction, strict=True)
    )
    macs = Fraction(sum(evaluation.macs.tolist()), len(rows))
    decided = [on for row in rows for on, g in zip(row, evaluation.gated, strict=True) if g]
    channels = [[]] * len(rows) if evaluation.channels is None else evaluation.channels.tolist()
    counts = Counter((*row, *more) for row, more in zip(rows, channels, strict=True))
    entropy = -sum(n / len(rows) * log2(n / len(rows)) for n in counts.values())
    applies = {}
    if evaluation.in_top5 is not None:
        applies["top5_accuracy"] = pytest.approx(sum(evaluation.in_top5.tolist()) / len(rows))
    if evaluation.parallel_macs is not None:
        parallel = Fraction(sum(evaluation.parallel_macs.tolist()), len(rows))
        ratio = float(parallel / evaluation.static_macs)
        applies["parallel_macs_ratio"] = pytest.approx(ratio)
    assert evaluation.metrics() == applies | {
        "accuracy": pytest.approx(right / len(rows)),
        "mean_macs": pytest.approx(float(macs)),
        "macs_ratio": pytest.approx(float(macs / evaluation.static_macs)),
        "execution_rate": pytest.approx(sum(decided) / len(decided) if decided else 1.0),
        "path_entropy_bits": pytest.approx(entropy, abs=1e-12),
        "distinct_paths": len(counts),
    }
    assert evaluation.path_counts.tolist() == sorted(counts.values(), reverse=True)
    for block, rate in enumerate(evaluation.block_rates):
        on = [row[i] for row in rows for i, b in enumerate(evaluation.blocks) if b == block]
        assert rate == pytest.approx(sum(on) / len(on))


@given(evaluations())
def test_file_brings_everything_back(tmp_path_factory, evaluation):
    file = tmp_path_factory.mktemp("evaluation") / "new" / "evaluation.parquet"
    evaluation.save(file)
    loaded = Evaluation.load(file)
    for name, saved in vars(evaluation).items():
        value = getattr(loaded, name)
        if saved is None or isinstance(saved, int):
            assert value == saved
        else:
            np.testing.assert_array_equal(value, saved, strict=True)
    assert [path.name for path in file.parent.iterdir()] == ["evaluation.parquet"]


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        label=np.array([0, 1]),
        prediction=np.array([0, 0]),
        macs=np.array([10, 20]),
        path=np.array([[True, False], [True, True]]),
        channels=None,
        blocks=np.array([0, 1]),
        gated=np.array([False, True]),
        static_macs=40,
    )


def test_columns_of_the_file(evaluation, tmp_path):
    evaluation.save(tmp_path / "e.parquet")
    assert pq.read_table(tmp_path / "e.parquet").to_pylist() == [
        {"index": 0, "label": 0, "prediction": 0, "macs": 10, "path": [True, False]},
        {"index": 1, "label": 1, "prediction": 0, "macs": 20, "path": [True, True]},
    ]


def test_a_file_of_another_kind_is_named(evaluation, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no parquet")
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"label": [1], "prediction": [1]}), other)
    bare = tmp_path / "bare.parquet"
    evaluation.save(bare)
    pq.write_table(pq.read_table(bare).replace_schema_metadata({"static_macs": "1"}), bare)
    for file in (text, other, bare):
        with pytest.raises(ValueError, match=f"{file.name} is not an evaluation file"):
            Evaluation.load(file)
    with pytest.raises(FileNotFoundError, match=r"missing\.parquet"):
        Evaluation.load(tmp_path / "missing.parquet")


def test_a_file_from_before_has_no_top_5(evaluation, tmp_path):
    """Nor parallel MACs: it says what it knows."""
    file = tmp_path / "e.parquet"
    newer = replace(evaluation, in_top5=np.array([True, False]), parallel_macs=np.array([11, 22]))
    newer.save(file)
    assert Evaluation.load(file).metrics()["top5_accuracy"] == 0.5
    table = pq.read_table(file).drop_columns(["in_top5", "parallel_macs"])
    pq.write_table(table, file)
    assert Evaluation.load(file).metrics() == evaluation.metrics()


@pytest.mark.parametrize("column", ["in_top5", "parallel_macs"])
def test_a_column_of_another_type_is_refused(evaluation, tmp_path, column):
    file = tmp_path / "e.parquet"
    evaluation.save(file)
    table = pq.read_table(file).append_column(column, pa.array(["x", "y"]))
    pq.write_table(table, file)
    with pytest.raises(ValueError, match=f"its column {column} holds string"):
        Evaluation.load(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("about", "{}"),
        ("about", '{"name": 1, "dataset": "", "classes": []}'),
        ("about", '{"name": "", "dataset": "", "classes": "ab"}'),
        ("channel_blocks", "0 0"),
    ],
)
def test_what_a_stranger_says_of_it_is_checked(evaluation, tmp_path, key, value):
    file = tmp_path / "e.parquet"
    evaluation.save(file)
    table = pq.read_table(file)
    metadata = {**table.schema.metadata, key.encode(): value.encode()}
    pq.write_table(table.replace_schema_metadata(metadata), file)
    with pytest.raises(ValueError, match=rf"e\.parquet is not an evaluation file: .*{key}"):
        Evaluation.load(file)


def test_a_file_that_does_not_say_what_it_is_of_is_read(evaluation, tmp_path):
    file = tmp_path / "e.parquet"
    evaluation.save(file)
    table = pq.read_table(file)
    metadata = {key: value for key, value in table.schema.metadata.items() if key != b"about"}
    pq.write_table(table.replace_schema_metadata(metadata), file)
    assert Evaluation.load(file).about == About()
