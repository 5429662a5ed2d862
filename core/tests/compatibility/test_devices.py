"""A GPU, bfloat16, channels-last and `torch.compile`.

A GPU that is not there: tensors without values say that they are on one, and torch refuses what it
would refuse there. The steps of every method go the same way in its conformance tests
(`dyncore.testing.check_dry_run`).
"""

import copy

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.overrides import TorchFunctionMode

from dyncore import DynamicNetwork
from dyncore.engine._executor import walk
from dyncore.engine.cuda import Buckets
from dyncore.engine.plan import plan
from dyncore.engine.torch import TorchBlock, TorchNetwork
from dyncore.kernels import install_kernels
from dyncore.testing import Case, check_dry_run
from dyncore.testing._dry_run import Copies


class HostReads(TorchFunctionMode):
    """Answers what an engine's host reads: everything is on, and what is compared agrees."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.nonzero:
            return torch.arange(len(args[0]), device=args[0].device)[:, None]
        if function is torch.Tensor.cpu:
            self.blocks += 1
        if function is torch.allclose:
            return True
        if function in (torch.Tensor.__float__, torch.Tensor.item):
            return 1.0
        return function(*args, **(kwargs or {}))


@pytest.mark.situation(
    "an engine on a GPU: its plan, and its blocks with and without captured paths"
)
@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize(
    "name", ["blend-pad", "n3-bottleneck", "n2-mobilenetv2", "channels-basic", "static"]
)
def test_engines_mix_no_devices(networks, name, captured):
    config = networks[name].config
    with FakeTensorMode(), torch.device("cuda"), torch.no_grad(), HostReads() as reads, Copies():
        network = DynamicNetwork(config).eval()
        planned = plan(network, torch.empty(1, 3, 13, 16))
        capture = Buckets(lambda run: run).captured
        blocks = [
            TorchBlock(block, [capture(path) for path in block.paths] if captured else None)
            for block in planned.blocks
        ]
        part = walk(TorchNetwork(planned, blocks), torch.empty(5, 3, 13, 16), None)
        assert part.logits.device == part.features.device == torch.device("cuda", 0)
        assert part.logits.shape == (5, 5)
    assert config.granularity.channels or reads.blocks == len(network.gates), (
        "one read for each block that decides"
    )


@pytest.mark.situation("evaluation on a GPU: the host reads nothing")
@torch.no_grad()
def test_the_dry_run_sees_what_it_is_for(networks):
    config = networks["blend"].config
    with FakeTensorMode(), torch.device("cuda"):
        network, images = DynamicNetwork(config).eval(), torch.empty(2, 3, 13, 16)
        assert network(images).logits.device.type == "cuda"
        hook = network.register_forward_hook(lambda *_: _[2].logits.max().item())
        with pytest.raises(DataDependentOutputException):
            network(images)
        hook.remove()
        network.register_forward_pre_hook(
            lambda _, given: (given[0] + torch.ones(3, 1, 1, device="cpu"),)
        )
        with pytest.raises(RuntimeError, match="cuda:0, cpu"):
            network(images)


@pytest.mark.situation("training in bfloat16 autocast and channels-last, fused or not")
@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("name", ["blend", "n3-bottleneck", "channels-basic"])
def test_bfloat16_steps_are_about_those_of_float32(networks, images, name, kernels):
    gradients = []
    for dtype in (torch.bfloat16, torch.float32):
        network = copy.deepcopy(networks[name]).float().train()
        network = network.to(memory_format=torch.channels_last)
        if kernels:
            install_kernels(network)
        given = images.float().contiguous(memory_format=torch.channels_last)
        path = networks[name](images).path.map(
            lambda values: values.float() if values.is_floating_point() else values
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = network(given, path=path).logits
        assert logits.dtype == dtype
        logits.float().square().mean().backward()
        grads = [p.grad.flatten() for p in network.backbone.parameters() if p.grad is not None]
        gradients.append(torch.cat(grads))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_a_part_that_makes_its_tensors_elsewhere_does_not_conform(networks, tmp_path, monkeypatch):
    case = Case(name="mixed", network=networks["blend"].config)
    check_dry_run(case, tmp_path)
    plain = DynamicNetwork.forward
    monkeypatch.setattr(
        DynamicNetwork,
        "forward",
        lambda self, images, **options: plain(
            self, images * torch.ones(1, 3, 1, 1, device="cpu"), **options
        ),
    )
    with pytest.raises(
        AssertionError, match=r"mixed, phase 'train' without kernels on a GPU: .*cpu"
    ):
        check_dry_run(case, tmp_path)
