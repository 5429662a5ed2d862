"""Building, refusing, copying and throwing away engines."""

import gc
import pickle
import threading
import weakref

import pytest
import torch

from dyncore import Engine
from dyncore.backbones import ResNetConfig
from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.network import DynamicConfig, DynamicNetwork


@pytest.fixture(scope="module")
def network() -> DynamicNetwork:
    config = DynamicConfig(
        backbone=ResNetConfig(block="basic", depths=(1, 2), widths=(4, 8), stem="cifar"),
        num_classes=5,
        router=ShortRangeRouterConfig(dim=4),
        gate=GumbelSoftmaxGateConfig(),
    )
    return DynamicNetwork(config).eval()


@pytest.fixture(scope="module")
def engine(network: DynamicNetwork) -> Engine:
    return Engine(network, torch.zeros(1, 3, 8, 8), threads=2, precision="fp32")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 8, 9), r"\(1, 3, 8, 9\).*\(batch, 3, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.float64), "dtype torch.float64.*torch.float32"),
        (torch.zeros(1, 3, 8, 8, device="meta"), "device meta.*cpu"),
        (torch.zeros(0, 3, 8, 8), "empty batch"),
    ],
)
def test_refuses_other_images(engine, images, message):
    with pytest.raises(ValueError, match=message):
        engine(images)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.zeros(0, 3, 8, 8), "example_input has shape"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.float64), "example_input is torch.float64"),
    ],
)
def test_refuses_an_example_the_model_cannot_take(network, example, message):
    with pytest.raises(ValueError, match=message):
        Engine(network, example)


def test_refuses_no_threads(network):
    with pytest.raises(ValueError, match="threads must be at least 1"):
        Engine(network, torch.zeros(1, 3, 8, 8), threads=0)


def test_refuses_a_path_for_other_images(network, engine):
    path = network(torch.zeros(2, 3, 8, 8)).path
    with pytest.raises(ValueError, match="decides for 2 images, but there are 3"):
        engine(torch.zeros(3, 3, 8, 8), path=path)


def test_a_model_in_training_mode_is_planned_for_evaluation(network, engine):
    images = torch.randn(4, 3, 8, 8)
    network.train()
    try:
        built = Engine(network, images, threads=2, precision="fp32")
        assert network.training, "the model itself stays as it is"
    finally:
        network.eval()
    torch.testing.assert_close(built(images).logits, engine(images).logits)


def test_pickled_and_unpickled_it_answers_the_same(engine):
    images = torch.randn(5, 3, 8, 8)
    again = pickle.loads(pickle.dumps(engine))
    torch.testing.assert_close(again(images).logits, engine(images).logits)


def test_an_output_outlives_later_calls_and_a_pickle(network, engine):
    images = torch.randn(5, 3, 8, 8)
    output = engine(images)
    engine(torch.randn(7, 3, 8, 8))
    again = pickle.loads(pickle.dumps(output))
    with torch.no_grad():
        expected = network(images)
    for ours in (output, again):
        assert ours.path.on.equal(expected.path.on)
        for name in ("router_features", "pooled"):
            for value, true in zip(getattr(ours, name), getattr(expected, name), strict=True):
                torch.testing.assert_close(value, true)


def test_a_deleted_engine_leaves_nothing_behind(network):
    before = set(threading.enumerate())
    engine = Engine(network, torch.zeros(1, 3, 8, 8), threads=2)
    engine(torch.zeros(8, 3, 8, 8))
    gone = weakref.ref(engine._runner.backend)
    del engine
    gc.collect()
    assert gone() is None
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("images", [1, 5])
def test_the_callers_modes_do_not_matter(network, engine, images):
    """Memory that one call takes is used by the next one, whose mode may be another."""
    x = torch.randn(images, 3, 8, 8)
    expected = engine(x)
    with torch.inference_mode():
        inside = engine(torch.cat([x, x]))
    with torch.device("meta"):
        again = engine(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        engine(x, path=expected.path)
    assert again.logits.equal(expected.logits)
    assert not again.logits.requires_grad
    for decision, seen in zip(expected.path, inside.path, strict=True):
        assert seen.on.equal(torch.cat([decision.on, decision.on]))
    assert again.features.is_contiguous(memory_format=torch.channels_last)
    assert again.features.equal(expected.features)
    forced = engine(x, path=expected.path)
    torch.testing.assert_close(forced.logits, expected.logits)


@pytest.mark.parametrize("images", [1, 5])
def test_what_else_runs_between_calls_does_not_matter(engine, images):
    """Memory may have moved since the last call of so many images."""
    x = torch.randn(images, 3, 8, 8)
    expected = engine(x)
    engine.profile(batch=images + 40)
    assert engine(x).logits.equal(expected.logits)
    engine(torch.cat([x, x]))
    assert engine(x, path=expected.path).features.equal(expected.features)
    assert engine(x).features.equal(expected.features)


def test_the_callers_thread_setting_is_kept(network):
    before = torch.get_num_threads()
    engine = Engine(network, torch.zeros(1, 3, 8, 8), threads=before + 1)
    engine(torch.zeros(1, 3, 8, 8))
    engine(torch.zeros(8, 3, 8, 8))
    assert torch.get_num_threads() == before


def test_threads_that_start_later_keep_their_setting(network):
    """torch's default for new threads is what any thread set last."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        engine = Engine(network, torch.zeros(1, 3, 8, 8), threads=3)
        engine(torch.zeros(8, 3, 8, 8))
        seen: list[int] = []
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [3]


@pytest.mark.needs_gpu
def test_on_a_gpu_it_answers_as_the_model(network):
    model = DynamicNetwork(network.config).eval().double().cuda()
    images = torch.randn(150, 3, 8, 8, dtype=torch.float64, device="cuda")
    engine = Engine(model, images)
    for count, mode in ((7, torch.inference_mode), (1, torch.no_grad), (150, torch.no_grad)):
        with mode():
            expected = model(images[:count]).logits
            found = engine(images[:count]).logits
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
