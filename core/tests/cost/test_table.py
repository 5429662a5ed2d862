"""The table's arithmetic, by hand and as properties of random tables."""

import json
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyncore.cost import BlockCost, CostTable, PathCost
from dyncore.gating import Choice, Decision, ExecutionPath

pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies"  # beartype does, to pick items
)

HAND = CostTable(
    input_size=(3, 8, 8),
    static=100,
    stem=10,
    head=5,
    blocks=(
        BlockCost(gated=False, router=0, shortcut=0, paths=(PathCost((7,)),)),
        BlockCost(gated=True, router=3, shortcut=2, paths=(PathCost((8, 12, 5), channels=4),)),
        BlockCost(gated=True, router=4, shortcut=0, paths=(PathCost((6, 2)), PathCost((9,)))),
    ),
)
"""No network: a block without a gate, one with four channels, and one with two paths."""
ALWAYS = 10 + 5 + 7 + (3 + 2) + 4


def hand_path(block: list[int], channels: list[list[int]], paths: list[list[int]]) -> ExecutionPath:
    ungated = torch.ones(len(block), 1, dtype=torch.bool)
    return ExecutionPath(
        (
            Decision.of(ungated),
            Decision.of(torch.tensor(block)[:, None] > 0, torch.tensor(channels) > 0),
            Decision.of(torch.tensor(paths) > 0),
        )
    )


def test_totals_by_hand():
    assert HAND.always == ALWAYS == 31
    assert HAND.gated == 25 + 8 + 9
    assert HAND.full == ALWAYS + 42
    assert HAND.ratio(50) == 0.5


@pytest.mark.parametrize(
    ("accounting", "expected"),
    [
        # On: third layer 5, three of four channels at (8 + 12) / 4 each; two paths; one path; none.
        ("sequential", [5 + 3 * 5 + 8 + 9, 5 + 9, 0, 8]),
        # On: first and third layer 8 + 5, channels at 12 / 4 each.
        ("parallel", [13 + 3 * 3 + 8 + 9, 13 + 9, 0, 8]),
    ],
)
def test_macs_and_expected_by_hand(accounting, expected):
    path = hand_path(
        [1, 1, 0, 0],
        [[1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]],
        [[1, 1], [0, 1], [0, 0], [1, 0]],
    )

    assert HAND.macs(path, accounting).tolist() == [ALWAYS + e for e in expected]
    assert HAND.expected(path, accounting).tolist() == [ALWAYS + e for e in expected]
    assert HAND.expected_gated(path, accounting).tolist() == expected


def test_expected_reads_weights_and_macs_reads_on():
    block, channels = torch.tensor([[0.5]]), torch.tensor([[1.0, 0.5, 0.0, 0.25]])
    paths = torch.tensor([[0.25, -0.1]])
    decisions = [
        Decision.of(torch.ones(1, 1, dtype=torch.bool)),
        Decision(Choice(block > 0, block), Choice(channels > 0, channels)),
        Decision(Choice(paths > 0, paths)),
    ]
    path = ExecutionPath(tuple(decisions))

    assert HAND.macs(path).tolist() == [ALWAYS + 5 + 3 * 5 + 8]
    expected = ALWAYS + 0.5 * (5 + 1.75 * 5) + 0.25 * 8 - 0.1 * 9
    assert HAND.expected(path).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("accounting", ["sequential", "parallel"])
def test_gradient_of_expected_is_what_a_decision_costs(accounting):
    block = torch.tensor([[0.5], [0.75]], requires_grad=True)
    channels = torch.tensor([[1.0, 0.5, 0.0, 0.25], [0.0] * 4], requires_grad=True)
    paths = torch.tensor([[0.25, 0.5], [0.0, 1.0]], requires_grad=True)
    ungated = torch.ones(2, 1, requires_grad=True)
    path = ExecutionPath(
        (
            Decision(Choice(ungated > 0, ungated)),
            Decision(Choice(block > 0, block), Choice(channels > 0, channels)),
            Decision(Choice(paths > 0, paths)),
        )
    )

    HAND.expected(path, accounting).sum().backward()

    fixed, each = {"sequential": (5, 5), "parallel": (13, 3)}[accounting]
    assert paths.grad.tolist() == [[8.0, 9.0]] * 2
    assert block.grad.tolist() == [[fixed + 1.75 * each], [fixed]]
    assert channels.grad.tolist() == [[0.5 * each] * 4, [0.75 * each] * 4]
    assert ungated.grad is None or not ungated.grad.any()


def macs() -> st.SearchStrategy[int]:
    return st.integers(0, 10**9)


@st.composite
def tables(draw) -> CostTable:
    blocks = []
    for _ in range(draw(st.integers(1, 3))):
        channels = draw(st.sampled_from([0, 0, 1, 3]))
        gated = bool(channels) or draw(st.booleans())
        paths = []
        for _ in range(1 if channels else draw(st.integers(1, 3))):
            layers = draw(st.lists(macs(), min_size=2, max_size=3))
            # The first two layers of a path with gated channels divide evenly among them.
            gateable = [m * max(1, channels) for m in layers[:2]]
            paths.append(PathCost((*gateable, *layers[2:]), channels))
        blocks.append(
            BlockCost(gated=gated, router=draw(macs()), shortcut=draw(macs()), paths=tuple(paths))
        )
    return CostTable((3, 8, 8), draw(st.integers(1, 10**9)), draw(macs()), draw(macs()), (*blocks,))


def path_of(table: CostTable, bits: torch.Tensor) -> ExecutionPath:
    paths = [len(block.paths) for block in table.blocks]
    channels = [block.paths[0].channels for block in table.blocks]
    on, channel_on = bits.split([sum(paths), sum(channels)], dim=1)
    return ExecutionPath.of(on, paths, channel_on, channels, dtype=torch.float64)


@st.composite
def tables_with_bits(draw, rows: int):
    table = draw(tables())
    columns = sum(len(b.paths) + b.paths[0].channels for b in table.blocks)
    return table, torch.from_numpy(draw(arrays(bool, (rows, columns))))


ACCOUNTING = st.sampled_from(["sequential", "parallel"])


def naive(table: CostTable, path: ExecutionPath, image: int, accounting: str) -> int:
    """``on × (fixed + Σ channels on × per-channel)``, layer by layer."""
    total = table.stem + table.head
    for block, decision in zip(table.blocks, path, strict=True):
        total += block.router + block.shortcut
        for n, cost in enumerate(block.paths):
            if block.gated and not decision.on[image, n]:
                continue
            for layer, layer_macs in enumerate(cost.layers):
                by_channel = cost.channels and layer in ((0, 1), (1,))[accounting == "parallel"]
                if by_channel:
                    chosen = int(decision.channels.on[image].sum())
                    layer_macs = layer_macs // cost.channels * chosen
                total += layer_macs
    return total


@given(tables_with_bits(rows=2), ACCOUNTING)
def test_macs_is_the_naive_sum(drawn, accounting):
    table, bits = drawn
    path = path_of(table, bits)

    result = table.macs(path, accounting).tolist()

    assert result == [naive(table, path, image, accounting) for image in range(2)]


@given(tables_with_bits(rows=3), ACCOUNTING)
def test_expected_equals_macs_for_hard_weights(drawn, accounting):
    table, bits = drawn
    path = path_of(table, bits)

    assert table.expected(path, accounting).tolist() == table.macs(path, accounting).tolist()


@given(tables_with_bits(rows=2), ACCOUNTING)
def test_macs_grows_with_what_is_on_and_stays_in_bounds(drawn, accounting):
    table, bits = drawn
    union = torch.stack([bits[0], bits[0] | bits[1]])

    fewer, more = table.macs(path_of(table, union), accounting).tolist()

    assert table.always <= fewer <= more <= table.full


@given(tables_with_bits(rows=1), ACCOUNTING)
def test_everything_on_is_full_and_everything_off_is_always(drawn, accounting):
    table, bits = drawn

    everything = path_of(table, torch.stack([bits[0] | True, bits[0] & False]))

    assert table.macs(everything, accounting).tolist() == [table.full, table.always]


@given(tables_with_bits(rows=2))
def test_parallel_accounting_is_never_cheaper(drawn):
    table, bits = drawn
    path = path_of(table, bits)

    assert (table.macs(path, "parallel") >= table.macs(path, "sequential")).all()


@given(tables())
def test_json_round_trip(table):
    saved = json.loads(json.dumps(asdict(table)))

    assert CostTable.from_dict(saved) == table
    assert saved["blocks"][0]["gated"] == table.blocks[0].gated


@given(tables())
def test_print_shows_every_part_and_the_totals(table):
    text = str(table)

    assert "3×8×8" in text
    for number in (table.stem, table.head, table.static, table.full, table.always):
        assert f"{number:,}" in text
    for index, block in enumerate(table.blocks):
        row = next(line for line in text.splitlines() if f"block {index} " in line)
        assert ("yes" in row) == block.gated
        for number in (block.router, block.shortcut, *(path.total for path in block.paths)):
            assert f"{number:,}" in row
    assert f"ratio {table.full / table.static:.3f}" in text
