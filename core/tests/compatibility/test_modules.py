"""Modules that were changed, in training, skipping and the engine.

A layer is taken apart (folded, fused, packed) only if it is exactly torch's and nothing listens;
all else is called as a module, and `engine.profile().modules` names it.
"""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from dyncore import DynamicNetwork, Engine, run_skipped
from dyncore.blocks import GatedBlock
from dyncore.kernels import install_kernels

Change = Callable[[DynamicNetwork], None]


def convolutions(network: DynamicNetwork) -> list[tuple[nn.Module, str, nn.Conv2d]]:
    """Those of the blocks' paths, with the modules that hold them."""
    found = []
    for block in network.backbone.blocks:
        for path in block.paths:
            for name, *_ in path.names:
                found.append((path.owner, name, path.owner.get_submodule(name)))
    return found


class Standardised(nn.Conv2d):
    """Weight standardisation."""

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (f((1, 2, 3), keepdim=True) for f in (self.weight.mean, self.weight.std))
        return F.conv2d(x, (self.weight - mean) / std, None, self.stride, self.padding)


class Adapted(nn.Module):
    """A low-rank adapter around a layer, as for LoRA."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.down = nn.Conv2d(conv.in_channels, 1, 3, conv.stride, 1).double()
        self.up = nn.Conv2d(1, conv.out_channels, 1).double()

    in_channels = property(lambda self: self.conv.in_channels)
    out_channels = property(lambda self: self.conv.out_channels)
    kernel_size = property(lambda self: self.conv.kernel_size)
    stride = property(lambda self: self.conv.stride)
    padding = property(lambda self: self.conv.padding)
    dilation = property(lambda self: self.conv.dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.up(self.down(x))


def rebuilt(network: DynamicNetwork, **options: object) -> None:
    """Every convolution of a path made anew with other options."""
    for owner, name, conv in convolutions(network):
        settings = {"stride": conv.stride, "padding": 1, "bias": False} | options
        other = nn.Conv2d(conv.in_channels, conv.out_channels, 3, **settings).double()
        setattr(owner, name, other)


def standardised(network: DynamicNetwork) -> None:
    for _, _, conv in convolutions(network):
        conv.__class__ = Standardised


def adapted(network: DynamicNetwork) -> None:
    for owner, name, conv in convolutions(network):
        setattr(owner, name, Adapted(conv))


def circular(network: DynamicNetwork) -> None:
    rebuilt(network, padding_mode="circular")


def reflecting(network: DynamicNetwork) -> None:
    rebuilt(network, padding_mode="reflect")


def biased(network: DynamicNetwork) -> None:
    rebuilt(network, bias=True)


def pruned(network: DynamicNetwork) -> None:
    for _, _, conv in convolutions(network):
        prune.l1_unstructured(conv, "weight", amount=0.3)


def normed(network: DynamicNetwork) -> None:
    for _, _, conv in convolutions(network):
        parametrizations.spectral_norm(conv)
    network.backbone.fc = parametrizations.weight_norm(network.backbone.fc)


def hooked(network: DynamicNetwork) -> None:
    for _, _, conv in convolutions(network):
        conv.register_forward_hook(lambda _conv, _inputs, out: 2 * out)


def hooked_before(network: DynamicNetwork) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _norm, inputs: (inputs[0] / 2,))


def hooked_blocks(network: DynamicNetwork) -> None:
    for block in network.backbone.blocks:
        block.register_forward_hook(lambda _block, _inputs, out: out.flip(1))


def hooked_deciders(network: DynamicNetwork) -> None:
    for router in network.routers.values():
        router.register_forward_hook(lambda _router, _inputs, out: (1 - out[0], out[1]))


class Doubled(GatedBlock):
    """A block with a forward of its own."""

    def forward(self, x: Tensor, decision=None) -> Tensor:
        return 2 * super().forward(x, decision)


def doubled(network: DynamicNetwork) -> None:
    for block in network.backbone.blocks:
        block.__class__ = Doubled


def group_normed(network: DynamicNetwork) -> None:
    for _, name, conv in convolutions(network):
        del name
        conv.register_forward_hook(lambda _conv, _inputs, out: F.group_norm(out, 2))


def smooth(network: DynamicNetwork) -> None:
    for block in network.backbone.blocks:
        block.activation = nn.GELU()


CHANGES = [
    pytest.param(
        standardised,
        marks=pytest.mark.situation("a convolution of a subclass (weight standardisation, QAT)"),
    ),
    pytest.param(adapted, marks=pytest.mark.situation("an adapter around each convolution (LoRA)")),
    pytest.param(circular, marks=pytest.mark.situation("`padding_mode='circular'`")),
    pytest.param(reflecting, marks=pytest.mark.situation("`padding_mode='reflect'`")),
    pytest.param(biased, marks=pytest.mark.situation("convolutions with a bias")),
    pytest.param(pruned, marks=pytest.mark.situation("`torch.nn.utils.prune`, masks in place")),
    pytest.param(
        normed, marks=pytest.mark.situation("spectral norm, weight norm (parametrisations)")
    ),
    pytest.param(hooked, marks=pytest.mark.situation("forward hooks on convolutions")),
    pytest.param(hooked_before, marks=pytest.mark.situation("forward pre-hooks on norms")),
    pytest.param(hooked_blocks, marks=pytest.mark.situation("forward hooks on blocks")),
    pytest.param(hooked_deciders, marks=pytest.mark.situation("forward hooks on routers")),
    pytest.param(
        doubled, marks=pytest.mark.situation("a block of a subclass with its own forward")
    ),
    pytest.param(group_normed, marks=pytest.mark.situation("another norm behind a convolution")),
    pytest.param(smooth, marks=pytest.mark.situation("another activation (GELU) in the blocks")),
]


def changed(networks, name: str, change: Change) -> DynamicNetwork:
    torch.manual_seed(0)
    network = copy.deepcopy(networks[name])
    change(network)
    return network


@pytest.mark.parametrize("name", ["blend", "channels-basic"])
@pytest.mark.parametrize("change", CHANGES)
def test_skipping_and_engines_answer_as_the_changed_network(networks, images, name, change):
    network = changed(networks, name, change)
    with torch.no_grad():
        expected = network(images)
        before = networks[name](images)
        found = [run_skipped(network, images), Engine(network, images[:1], threads=1)(images)]
    if network.gates or change is not hooked_deciders:
        assert not torch.allclose(before.logits, expected.logits)
    for output in found:
        assert output.path.on.equal(expected.path.on)
        torch.testing.assert_close(output.logits, expected.logits, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["blend", "n2-basic"])
@pytest.mark.parametrize("change", CHANGES)
def test_fused_training_is_that_of_the_changed_network(networks, images, name, change):
    """Two steps, since what lives between them may not."""
    network = changed(networks, name, change).train()
    fused = changed(networks, name, change).train()
    fused.load_state_dict(network.state_dict())
    install_kernels(fused)
    for _ in range(2):
        for each in (network, fused):
            each(images).logits.square().mean().backward()
    expected = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    found = {name: p.grad for name, p in fused.named_parameters() if p.grad is not None}
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9 * largest)


@pytest.mark.situation("what of an engine runs as a module: `engine.profile().modules`")
def test_a_profile_names_modules(networks, images):
    network = copy.deepcopy(networks["blend"])
    network.backbone.conv1.register_forward_hook(lambda *_: None)
    network.backbone.layer2[0].register_forward_hook(lambda *_: None)
    network.backbone.layer2[1].conv1.register_forward_hook(lambda *_: None)
    network.routers["0"].register_forward_hook(lambda *_: None)
    network.gates["2"].register_forward_hook(lambda *_: None)
    network.backbone.fc.register_forward_hook(lambda *_: None)
    modules = Engine(network, images, threads=1).profile().modules
    named = {"stem", "head", "block 0 router", "block 1", "block 2 gate", "block 2 path 0"}
    assert set(modules) == named


@pytest.mark.situation(
    "an engine of a model, backbone or stage with hooks",
    refused="backbone.layer1 has hooks or a forward of its own, which the engine would not run: "
    "remove them",
)
def test_hooks_around_blocks(networks, images):
    network = copy.deepcopy(networks["blend"])
    network.backbone.layer1.register_forward_hook(lambda *_: None)
    Engine(network, images, threads=1)


class Negative(DynamicNetwork):
    def forward(self, images: Tensor, **options: object):
        return super().forward(-images, **options)


@pytest.mark.situation(
    "an engine of a network, backbone or stage of a subclass with its own forward",
    refused="the engine's logits differ from the model's by …%",
)
def test_a_network_of_its_own_forward(networks, images):
    network = copy.deepcopy(networks["n2-basic"])
    network.__class__ = Negative
    Engine(network, images, threads=1)


@pytest.mark.situation(
    "skipping with norms that use the batch's statistics in evaluation",
    refused="backbone.bn1 normalises by the statistics of its batch in evaluation, too",
)
@pytest.mark.parametrize("run", [run_skipped, Engine])
def test_batch_statistics(networks, images, run):
    network = copy.deepcopy(networks["blend"])
    network.backbone.bn1 = nn.BatchNorm2d(4, track_running_stats=False).double().eval()
    run(network, images)
