"""An engine that was built before a fork answers in the child, too."""

import multiprocessing
import sys

import pytest
import torch

from dyncore import Engine
from dyncore.engine.native import NativeBackend

pytestmark = [
    pytest.mark.needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="forks"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


@pytest.mark.parametrize("name", ["blend", "channels-basic"])
def test_a_forked_process_gets_threads_of_its_own(networks, images, name):
    engine = Engine(networks[name], images, threads=2)
    assert isinstance(engine._runner.backend, NativeBackend)
    expected = engine(images).logits
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def answer() -> None:
        torch.set_num_threads(1)
        sending.send([engine(images).logits.equal(expected), engine(images[:1]).logits.numpy()])

    child = context.Process(target=answer)
    child.start()
    try:
        assert receiving.poll(120), "the child answers"
        same, first = receiving.recv()
        child.join(30)
        assert child.exitcode == 0, "and ends"
    finally:
        child.kill()
    assert same
    torch.testing.assert_close(torch.from_numpy(first), expected[:1], rtol=0, atol=1e-9)
    assert engine(images).logits.equal(expected), "the parent's threads are still there"
