"""Networks with fused forms: the plain network's answers, and the plain form where it must run."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from dyncore import DynamicNetwork
from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import GatedBlock
from dyncore.gating import (
    Choice,
    Decision,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
)
from dyncore.kernels import install_kernels
from dyncore.kernels._block import fused_block
from dyncore.network import DynamicConfig

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def step(network: DynamicNetwork, images: Tensor) -> dict[str, Tensor]:
    """Logits, every gradient and every running statistic of a training step without dropout."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    noise = network.draw_noise(len(images), torch.Generator().manual_seed(0))
    output = network(images, noise=None if noise is None else noise.to(images.dtype))
    pooled = [pool.square().mean() for pool in output.pooled if pool is not None]
    loss = output.logits.square().mean() + torch.stack([*pooled, output.path.weight.mean()]).sum()
    loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {"logits": output.logits.detach(), **gradients, **dict(network.named_buffers())}


def expect_same_step(network: DynamicNetwork, images: Tensor) -> int:
    """With fused forms as without; returns the number of blocks that ran fused."""
    plain, fused = copy.deepcopy(network), copy.deepcopy(network)
    install_kernels(fused)
    ran: list[bool] = []

    def counted(block: GatedBlock, x: Tensor, decision: Decision | None) -> Tensor | None:
        out = fused_block(block, x, decision)
        ran.append(out is not None)
        return out

    for block in fused.backbone.blocks:
        block.fused = block.fused and counted
    found, expected = step(fused, images), step(plain, images)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(
            found[name],
            values,
            rtol=1e-8,
            atol=1e-9,
            msg=lambda text, name=name: f"{name}: {text}",
        )
    return sum(ran)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_step_is_the_plain_networks(gated_network, images, layout):
    gated = sum(block.gated for block in gated_network.backbone.blocks)
    ran = expect_same_step(gated_network, images.contiguous(memory_format=layout))
    assert ran == gated > 0


def test_a_block_without_a_decision_is_plain(networks, images):
    assert expect_same_step(networks["static"], images) == 0


def blend(backbone, router, gate) -> DynamicConfig:
    return DynamicConfig(
        backbone=backbone, num_classes=3, router=router, gate=gate, combine="blend"
    )


SMALL = ResNetConfig(block="basic", depths=(2, 1), widths=(4, 8), stem="cifar")
MOBILE = MobileNetV2Config(width=0.2)


@pytest.mark.parametrize(
    ("config", "fused"),
    [
        (blend(SMALL, IdentityRouterConfig(), ReLU1GateConfig(leak=0.9)), 3),
        (blend(MOBILE, ShortRangeRouterConfig(dim=8), GumbelSoftmaxGateConfig()), 0),
    ],
    ids=["weights that are no probabilities", "maps of both signs"],
)
def test_a_blend_of_what_may_be_negative(build_network, images, config, fused):
    assert expect_same_step(build_network(config), images) == fused


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", ["blend", "blend-pad", "n2-basic", "channels-basic"])
def test_hooks_may_make_what_a_block_is_given_negative(networks, images, name, layout):
    """A ReLU gave it, and a hook changed it."""
    network = copy.deepcopy(networks[name])
    for module in (network.backbone.blocks[0], network.backbone.layer1):
        module.register_forward_hook(lambda _module, _given, out: out - 0.5)
    network.backbone.blocks[-1].register_forward_pre_hook(lambda _block, given: (-given[0],))
    assert expect_same_step(network, images.contiguous(memory_format=layout)) > 0


@pytest.mark.parametrize("name", ["blend", "n2-basic", "n3-bottleneck", "channels-basic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_keeps_tensors_for_the_backward_pass_may_change_their_layout(
    networks, images, name, dtype
):
    """As a hook may that compresses them, or puts them elsewhere."""
    network = copy.deepcopy(networks[name]).to(dtype)
    given = images.to(dtype).contiguous(memory_format=torch.channels_last)
    other = copy.deepcopy(network)
    for each in (network, other):
        install_kernels(each)
    with torch.autograd.graph.saved_tensors_hooks(Tensor.contiguous, Tensor.clone):
        found = step(network, given)
    for key, expected in step(other, given).items():
        torch.testing.assert_close(found[key], expected, msg=key)


@pytest.mark.parametrize("name", ["blend", "additive"])
def test_weights_of_norms_may_be_parts_of_other_tensors(networks, images, name):
    given = images.contiguous(memory_format=torch.channels_last)
    expected = step(copy.deepcopy(networks[name]), given)
    network = copy.deepcopy(networks[name])
    install_kernels(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            both = torch.stack([module.weight, module.bias], 1).detach()
            module.weight, module.bias = map(nn.Parameter, both.unbind(1))
            assert not module.weight.is_contiguous()
    # Not gradients: torch's own of a channels-last norm with such weights are wrong (2.12.1).
    torch.testing.assert_close(step(network, given)["logits"], expected["logits"])


@pytest.mark.parametrize("name", ["blend", "n2-basic", "n3-bottleneck", "channels-basic"])
def test_one_backward_pass_of_two_forward_passes_and_two_of_one(networks, images, name):
    """As losses on pairs have it, and ``retain_graph``."""
    given = images.contiguous(memory_format=torch.channels_last)
    grads = []
    for fused in (True, False):
        network = copy.deepcopy(networks[name]).train()
        if fused:
            install_kernels(network)
        one, two = (network(each).logits for each in (given, given.flip(3)))
        loss = (one * two).mean()
        loss.backward(retain_graph=True)
        loss.backward()
        grads.append({key: p.grad for key, p in network.named_parameters()})
    torch.testing.assert_close(*grads, rtol=1e-8, atol=1e-9)


def test_copies_and_pickles_train_fused_and_nothing_of_it_is_saved(networks, tmp_path):
    network = copy.deepcopy(networks["blend"])
    before = set(network.state_dict())
    network.save_pretrained(tmp_path / "plain")
    install_kernels(network)
    network.save_pretrained(tmp_path / "fused")
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert other.pool is network.pool is not None
        assert all(block.fused is fused_block for block in other.backbone.blocks)
    assert set(network.state_dict()) == before
    for file in (tmp_path / "plain").iterdir():
        assert file.read_bytes() == (tmp_path / "fused" / file.name).read_bytes()


def test_every_network_of_a_module_is_found(networks):
    both = nn.ModuleList([copy.deepcopy(networks["blend"]), copy.deepcopy(networks["n2-basic"])])
    install_kernels(both)
    assert all(b.fused is fused_block for network in both for b in network.backbone.blocks)
    assert networks["blend"].backbone.blocks[0].fused is networks["blend"].pool is None


def evaluation(block: GatedBlock) -> None:
    block.eval()


def frozen_statistics(block: GatedBlock) -> None:
    block.paths[0].layers[0].norm.eval()


def hooked_norm(block: GatedBlock) -> None:
    block.paths[0].layers[0].norm.register_forward_hook(lambda _norm, _inputs, out: out + 1)


def norm_of_its_own(block: GatedBlock) -> None:
    norm = block.paths[0].layers[-1].norm
    norm.forward = MethodType(lambda self, x: 2 * nn.BatchNorm2d.forward(self, x), norm)


def norm_without_averages(block: GatedBlock) -> None:
    owner = block.paths[0].owner
    owner.bn1 = nn.BatchNorm2d(owner.bn1.num_features, track_running_stats=False).double()


PLAIN_NORMS = (
    evaluation,
    frozen_statistics,
    hooked_norm,
    norm_of_its_own,
    norm_without_averages,
)


def decide(block: GatedBlock, images: int) -> Decision:
    weight = torch.linspace(0.1, 0.9, images * len(block.paths), dtype=torch.float64)
    weight = weight.reshape(images, -1)
    return Decision(Choice(weight > 0.5, weight))


@pytest.mark.parametrize("change", PLAIN_NORMS, ids=lambda change: change.__name__)
@pytest.mark.parametrize("paths", [1, 2])
def test_norms_that_are_more_than_norms_are_called(make_block, x, paths, change):
    block = make_block("projection", paths=paths).train()
    change(block)
    fused = copy.deepcopy(block)
    install_kernels(fused)
    decision = decide(block, len(x))
    assert fused_block(copy.deepcopy(block), x, decision) is None
    assert fused(x, decision).equal(block(x, decision))
    for name, buffer in block.named_buffers():
        assert fused.get_buffer(name).equal(buffer)


def test_synchronised_norms_are_called(make_block, x):
    block = nn.SyncBatchNorm.convert_sync_batchnorm(make_block(paths=2)).train()
    assert fused_block(block, x, decide(block, len(x))) is None


@pytest.mark.parametrize("paths", [1, 3])
def test_a_block_without_one_of_its_paths_is_plain(make_block, x, paths):
    block = make_block("projection", paths=paths).train()
    block.remove_path(0)
    fused = copy.deepcopy(block)
    install_kernels(fused)
    decision = decide(block, len(x))
    assert fused(x, decision).equal(block(x, decision))


def test_of_one_image_torch_says_what_it_says(make_block, x):
    block = make_block().train()
    install_kernels(block)
    one = torch.ones(1, 8, 1, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        block(one, decide(block, 1))


class Halved(nn.Module):
    """A parametrisation."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def conv_with(**options: object) -> Callable[[GatedBlock], None]:
    def change(block: GatedBlock) -> None:
        for path in block.paths:
            old = path.owner.conv2
            settings = {"stride": old.stride, "padding": old.padding, "bias": False} | options
            path.owner.conv2 = nn.Conv2d(
                old.in_channels, old.out_channels, old.kernel_size, **settings
            ).double()

    change.__name__ = f"conv with {options}"
    return change


def parametrised(block: GatedBlock) -> None:
    nn.utils.parametrize.register_parametrization(block.paths[0].owner.conv2, "weight", Halved())


def weight_normed(block: GatedBlock) -> None:
    weight_norm(block.paths[-1].owner.conv2)


def hooked_conv(block: GatedBlock) -> None:
    block.paths[0].owner.conv1.register_forward_hook(lambda _conv, _inputs, out: 2 * out)


def hooked_before(block: GatedBlock) -> None:
    block.paths[-1].owner.conv2.register_forward_pre_hook(lambda _conv, inputs: inputs[0] / 2)


def conv_of_its_own(block: GatedBlock) -> None:
    conv = block.paths[0].owner.conv1
    conv.forward = lambda x: 2 * F.conv2d(x, conv.weight, None, conv.stride, conv.padding)


def one_of_another_eps(block: GatedBlock) -> None:
    block.paths[0].layers[0].norm.eps = 0.5


CONVS = (
    conv_with(bias=True),
    conv_with(padding_mode="circular"),
    conv_with(groups=2),
    parametrised,
    weight_normed,
    hooked_conv,
    hooked_before,
    conv_of_its_own,
    one_of_another_eps,
)


@pytest.mark.parametrize("change", CONVS, ids=lambda change: change.__name__)
@pytest.mark.parametrize("form", ["basic", "bottleneck"])
@pytest.mark.parametrize("paths", [1, 2])
def test_layers_that_are_more_than_layers_are_called(make_block, x, paths, form, change):
    block = make_block("projection", form=form, paths=paths).train()
    change(block)
    fused = copy.deepcopy(block)
    if change is conv_of_its_own:  # a copy of it would read the original's weights
        change(fused)
    install_kernels(fused)
    decision = decide(block, len(x))
    expected = block(x, decision)
    torch.testing.assert_close(fused(x, decision), expected, rtol=1e-12, atol=1e-12)


def test_a_compiled_graph_is_plain_and_whole():
    """In a process of its own: the shape checks of the tests cannot be compiled."""
    script = Path(__file__).with_name("compiled.py")
    names = ("blend", "n3-bottleneck", "channels-basic")
    ended = subprocess.run(
        [sys.executable, str(script), *names], check=True, capture_output=True, text=True
    )
    assert json.loads(ended.stdout) == {name: {"logits": 0.0, "gradients": 0.0} for name in names}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("form", ["basic", "bottleneck"])
@pytest.mark.parametrize(("combine", "paths"), [("additive", 1), ("additive", 2), ("blend", 1)])
def test_second_derivatives_are_refused(make_block, x, combine, paths, form, layout):
    block = make_block("projection", form=form, combine=combine, paths=paths).train()
    install_kernels(block)
    x = x.contiguous(memory_format=layout).relu().requires_grad_()
    out = block(x, decide(block, len(x)))
    with pytest.raises(RuntimeError, match=r"no second derivatives .*--no-kernels"):
        torch.autograd.grad(out.square().sum(), x, create_graph=True)
    out = block(x, decide(block, len(x)))
    assert torch.autograd.grad(out.square().sum(), x)[0].any()


def test_second_derivatives_of_last_kernels_alone_are_refused(make_block, x):
    """All before them is frozen: no other function takes part."""
    block = make_block(form="bottleneck", paths=2).train().requires_grad_(False)
    kernels = [path.layers[-1].conv.weight.requires_grad_() for path in block.paths]
    install_kernels(block)
    out = block(x, decide(block, len(x)))
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(out.square().sum(), kernels, create_graph=True)
