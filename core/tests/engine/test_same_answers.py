"""The engine answers as the model does."""

import copy
import functools
import pickle
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dyncore
from dyncore import Engine, ExecutionPath
from dyncore.network import DynamicNetwork

BUILT: dict[tuple[int, bool, int], Engine] = {}


def engine_for(
    network: DynamicNetwork, *, portable: bool = False, threads: int | None = None
) -> Engine:
    """Engines are built once per network; the networks live as long as the session.

    Two threads by default, which compiled code deals images to; one where torch has them all.
    """
    threads = threads or (1 if portable else 2)
    key = (id(network), portable, threads)
    if key not in BUILT:
        dtype = next(network.parameters()).dtype
        example = torch.zeros(1, 3, 13, 16, dtype=dtype)
        precision = "fp32" if dtype == torch.float32 else None
        BUILT[key] = Engine(
            network, example, portable=portable, threads=threads, precision=precision
        )
    return BUILT[key]


@functools.cache
def single(network: DynamicNetwork) -> DynamicNetwork:
    return copy.deepcopy(network).float()


def forced(network: DynamicNetwork, on: torch.Tensor, channel_on: torch.Tensor) -> ExecutionPath:
    channels = network.channels_per_block
    return ExecutionPath.of(
        on,
        network.paths_per_block,
        channel_on if sum(channels) else None,
        channels,
        dtype=next(network.parameters()).dtype,
    )


def everything(network: DynamicNetwork, images: int, value: bool) -> ExecutionPath:
    on = torch.full((images, sum(network.paths_per_block)), value)
    return forced(network, on, torch.full((images, sum(network.channels_per_block)), value))


def assert_same(ours: dyncore.Output, eager: dyncore.Output, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(ours.logits, eager.logits, rtol=0, atol=tolerance)
    for a, b in zip(ours.path, eager.path, strict=True):
        assert a.on.equal(b.on)
        torch.testing.assert_close(a.weight, b.weight, rtol=0, atol=tolerance)
        assert (a.channels is None) == (b.channels is None)
        if a.channels is not None and b.channels is not None:
            assert a.channels.on.equal(b.channels.on)


@pytest.fixture(scope="session", params=["native", "portable"])
def portable(request) -> bool:
    """Each way to run on a CPU: compiled, and in torch's operators."""
    return request.param == "portable"


@torch.no_grad()
def test_float64_equals_the_model(network, images, portable):
    engine = engine_for(network, portable=portable)
    for count in (1, 3, 6):
        assert_same(engine(images[:count]), network(images[:count]))


@torch.no_grad()
def test_every_field_of_the_output(network, images, portable):
    ours, eager = engine_for(network, portable=portable)(images), network(images)
    torch.testing.assert_close(ours.features, eager.features, rtol=0, atol=1e-9)
    for name in ("pooled", "router_features"):
        for a, b in zip(getattr(ours, name), getattr(eager, name), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@torch.no_grad()
def test_float32_error_is_at_most_four_times_that_of_eager(network, images, portable):
    small = single(network)
    exact = network(images)
    eager, ours = small(images.float()), engine_for(small, portable=portable)(images.float())
    assert ours.path.on.equal(exact.path.on), "the fixture's margins are far above rounding"
    allowed = 4 * float((eager.logits - exact.logits).abs().max()) + 1e-6
    assert float((ours.logits - exact.logits).abs().max()) <= allowed


@torch.no_grad()
def test_every_batch_size(network, images, portable):
    engine = engine_for(network, portable=portable)
    many = images.repeat(6, 1, 1, 1)[:33] * torch.linspace(0.5, 1.5, 33)[:, None, None, None]
    expected = network(many)
    for count in range(1, 34):
        ours = engine(many[:count])
        assert ours.path.on.equal(expected.path.on[:count])
        torch.testing.assert_close(ours.logits, expected.logits[:count], rtol=0, atol=1e-9)


@torch.no_grad()
def test_all_on_all_off_and_one_path_for_all(network, images, portable):
    if not sum(block.gated for block in network.backbone.blocks):
        pytest.skip("nothing is gated")
    engine = engine_for(network, portable=portable)
    for value in (True, False):
        path = everything(network, len(images), value)
        assert_same(engine(images, path=path), network(images, path=path))
    shared = network(images[:1]).path
    alike = shared.images(torch.zeros(len(images), dtype=torch.long))
    assert_same(engine(images, path=alike), network(images, path=alike))


@settings(max_examples=12)
@given(data=st.data())
@torch.no_grad()
def test_any_forced_path(network, images, portable, data):
    seed, count = data.draw(st.integers(0, 10**6)), data.draw(st.integers(1, 6))
    generator = torch.Generator().manual_seed(seed)
    on, channel_on = (
        torch.rand(count, sum(columns), generator=generator) < data.draw(st.floats(0, 1))
        for columns in (network.paths_per_block, network.channels_per_block)
    )
    path = forced(network, on, channel_on)
    ours = engine_for(network, portable=portable)(images[:count], path=path)
    assert_same(ours, network(images[:count], path=path))


@torch.no_grad()
def test_memory_format_and_threads_change_nothing(network, images):
    small, images = single(network), images.float()
    before = images.clone()
    expected = engine_for(small)(images)
    last = images.contiguous(memory_format=torch.channels_last)
    for engine in (engine_for(small), engine_for(small, threads=1), engine_for(small, threads=3)):
        for given_images in (images, last):
            assert_same(engine(given_images), expected, 1e-4)
            assert given_images.equal(before), "the caller's tensor stays as it is"


@torch.no_grad()
def test_several_python_threads_at_once(networks, images, portable):
    network = networks["n2-basic"]
    engine = engine_for(network, portable=portable)
    expected = network(images).logits
    wrong: list[int] = []

    def call(count: int) -> None:
        for _ in range(10):
            logits = engine(images[:count]).logits
            if not torch.allclose(logits, expected[:count], rtol=0, atol=1e-9):
                wrong.append(count)

    callers = [threading.Thread(target=call, args=(count,)) for count in (1, 3, 5, 6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_later_changes_of_the_model_do_not_reach_the_engine(networks, images):
    network = copy.deepcopy(networks["blend"])
    engine = Engine(network, images)
    before = engine(images).logits
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert engine(images).logits.equal(before)
    again = pickle.loads(pickle.dumps(engine))
    torch.testing.assert_close(again(images).logits, before)
