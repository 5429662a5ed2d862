import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyncore.gating import Choice, Decision, ExecutionPath, Relaxation


def tables(columns: int):
    """0/1 tables of 1 to 4 images."""
    return st.integers(1, 4).flatmap(lambda batch: arrays(bool, (batch, columns)))


@st.composite
def path_tables(draw):
    paths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    return torch.from_numpy(draw(tables(sum(paths)))), paths


@st.composite
def channel_tables(draw):
    channels = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    table = torch.from_numpy(draw(tables(len(channels) + sum(channels))))
    return table[:, : len(channels)], table[:, len(channels) :], channels


@given(path_tables())
def test_of_round_trips(table):
    on, paths_per_block = table

    path = ExecutionPath.of(on, paths_per_block, dtype=torch.float64)

    assert path.paths_per_block == tuple(paths_per_block)
    assert len(path) == len(list(path)) == len(paths_per_block)
    assert path.on.equal(on)
    assert path.weight.equal(on.double())
    assert path.channel_on is None
    assert ExecutionPath.of(path.on, path.paths_per_block).on.equal(on)


@given(channel_tables())
def test_of_round_trips_with_channels(table):
    on, channel_on, channels = table

    path = ExecutionPath.of(on, [1] * len(channels), channel_on, channels)

    for decision, number in zip(path, channels, strict=True):
        assert (decision.channels is None) == (number == 0)
        if number:
            assert decision.channels.on.shape[1] == number
            assert decision.channels.weight.equal(decision.channels.on.float())
    if sum(channels):
        assert path.channel_on.equal(channel_on)
    else:
        assert path.channel_on is None


@given(path_tables())
def test_execution_rate_is_the_mean_over_images_and_paths(table):
    on, paths_per_block = table

    rate = ExecutionPath.of(on, paths_per_block).execution_rate

    rows, first = on.tolist(), 0
    for block, paths in enumerate(paths_per_block):
        count = sum(row[column] for row in rows for column in range(first, first + paths))
        assert rate[block].item() == pytest.approx(count / (len(rows) * paths), abs=1e-6)
        first += paths


def test_images_selects_rows_of_every_part():
    on = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 0]], dtype=torch.bool)
    channels = torch.tensor([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 0]], dtype=torch.bool)
    path = ExecutionPath.of(on, (1, 1, 1), channels, (1, 0, 3))

    for selection in (slice(1, 3), torch.tensor([2, 0])):
        part = path.images(selection)
        assert part.on.equal(on[selection])
        assert part.weight.equal(on[selection].float())
        assert part.channel_on.equal(channels[selection])
        assert part[2].channels.weight.equal(channels[selection, 1:].float())


def test_weight_is_differentiable_and_independent_of_on():
    weight = torch.tensor([[0.25, 0.75]], requires_grad=True)
    path = ExecutionPath((Decision(Choice(weight.detach() > 0.5, weight)),))

    path.weight.sum().backward()

    assert path.on.tolist() == [[False, True]]
    assert weight.grad.tolist() == [[1.0, 1.0]]


def test_noise_free_replaces_the_weights_of_the_gates_that_drew_noise():
    on = torch.tensor([[True], [False]])
    hard = Relaxation(torch.tensor([[0.0], [1.0]]))
    noisy = Decision(Choice(on, torch.tensor([[0.7], [0.4]])), training=hard)
    plain = Decision(Choice(on, torch.tensor([[0.9], [0.2]])))

    path = ExecutionPath((noisy, plain)).noise_free

    torch.testing.assert_close(path.weight, torch.tensor([[0.0, 0.9], [1.0, 0.2]]))
    assert path.on.equal(on.expand(2, 2))
    assert ExecutionPath((noisy, plain)).images(slice(1, 2)).noise_free[0].weight.item() == 1.0


def test_wrong_number_of_path_columns_is_an_error():
    with pytest.raises(ValueError, match="on has 4 columns, but the blocks have 3 paths"):
        ExecutionPath.of(torch.ones(2, 4, dtype=torch.bool), (1, 2))


@pytest.mark.parametrize("channels_per_block", [None, (2, 2)])
def test_wrong_number_of_channel_columns_is_an_error(channels_per_block):
    on = torch.ones(2, 2, dtype=torch.bool)

    with pytest.raises(ValueError, match="channel_on has 5 columns, but channels_per_block is"):
        ExecutionPath.of(on, (1, 1), torch.ones(2, 5, dtype=torch.bool), channels_per_block)
