"""What only a GPU can show: it gives the answers and the gradients of the CPU."""

import copy
from dataclasses import replace

import pytest
import torch

from dyncore import DynamicNetwork, Engine, Output, run_skipped
from dyncore.export import export_pt2
from dyncore.gating import ExecutionPath
from dyncore.kernels import install_kernels

pytestmark = pytest.mark.needs_gpu


def on_gpu(path: ExecutionPath) -> ExecutionPath:
    return path.map(lambda values: values.cuda())


def assert_same(found: Output, expected: Output) -> None:
    torch.testing.assert_close(found.logits.cpu(), expected.logits, rtol=0, atol=1e-9)
    assert found.path.on.cpu().equal(expected.path.on)


@torch.no_grad()
def test_it_answers_as_the_cpu(network, images):
    model, given = copy.deepcopy(network).cuda(), images.cuda()
    for found in (model(given), run_skipped(model, given)):
        assert_same(found, network(images))


@torch.no_grad()
def test_an_engine_answers_as_the_cpu(network, images):
    """At sizes that are captured, padded and split."""
    engine = Engine(copy.deepcopy(network).cuda(), images.cuda())
    many = torch.cat([images + 0.01 * shift for shift in range(26)])
    for given in (images[:1], images, many, images[:3], images):
        assert_same(engine(given.cuda()), network(given))


@torch.no_grad()
def test_an_engine_computes_in_its_own_type_under_autocast(networks, images):
    """Which a graph would keep from its capture."""
    network = copy.deepcopy(networks["n3-bottleneck"]).float().cuda()
    given = images.float().cuda()
    engine = Engine(network, given)
    with torch.autocast("cuda", torch.bfloat16):
        found = engine(given)
    assert found.logits.dtype == torch.float32
    assert found.logits.equal(engine(given).logits)


def gradients(network: DynamicNetwork) -> torch.Tensor:
    """All of them in a row, on the CPU."""
    given = (p.grad if p.grad is not None else p.new_zeros(p.shape) for p in network.parameters())
    return torch.cat([gradient.flatten().cpu().double() for gradient in given])


@pytest.mark.parametrize("kernels", [False, True])
def test_a_training_step_has_the_cpus_gradients(network, images, kernels):
    noise = network.draw_noise(len(images), torch.Generator().manual_seed(0))
    found = []
    for device in ("cuda", "cpu"):
        model = copy.deepcopy(network).train().to(device)
        if kernels and device == "cuda":
            install_kernels(model)
        drawn = None if noise is None else noise.to(device, torch.float64)
        output = model(images.to(device), noise=drawn)
        (output.logits.square().mean() + output.path.weight.mean()).backward()
        found.append(gradients(model))
    torch.testing.assert_close(*found, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["blend", "n3-bottleneck", "channels-basic"])
def test_bfloat16_steps_are_about_those_of_float32(networks, images, name, compiled):
    path = networks[name](images).path
    found = []
    for bfloat16 in (True, False):
        model = copy.deepcopy(networks[name]).float().train().cuda()
        model = model.to(memory_format=torch.channels_last)
        install_kernels(model)
        if compiled and bfloat16:
            model.compile()
        given = images.float().cuda().contiguous(memory_format=torch.channels_last)
        forced = on_gpu(path).map(lambda v: v.float() if v.is_floating_point() else v)
        with torch.autocast("cuda", torch.bfloat16, enabled=bfloat16):
            logits = model(given, path=forced).logits
        assert logits.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
        logits.float().square().mean().backward()
        found.append(gradients(model))
    assert torch.cosine_similarity(*found, dim=0) > 0.99


@torch.no_grad()
def test_an_exported_file_answers_as_the_network(networks, build_network, images, tmp_path):
    config = networks["blend"].config
    one_block = replace(config.backbone, depths=(1,), widths=(4,))
    network = build_network(replace(config, backbone=one_block)).float().cuda()
    given = images.float().cuda()
    assert export_pt2(network, given, tmp_path / "a.pt2").other_decisions == 0
    answer = torch._inductor.aoti_load_package(str(tmp_path / "a.pt2"))(given)
    torch.testing.assert_close(answer["logits"], network(given).logits, rtol=1e-2, atol=1e-2)
