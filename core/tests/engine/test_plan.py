"""What is folded computes what its modules do; what is no plain layer stays a module."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dyncore import Engine
from dyncore.backbones import ResNetConfig
from dyncore.blocks import Layer, Path
from dyncore.engine.plan import FoldedHead, FoldedPath, FoldedStem, plan
from dyncore.engine.plan._fold import fold, fold_layer
from dyncore.engine.torch import run_channels
from dyncore.gating import GateWeights, RouterWeights, ShortRangeRouter, TwoLogitGate
from dyncore.network import DynamicConfig, DynamicNetwork


def norm(channels: int, **options: bool) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels, **options)
    for values, (low, high) in (
        (layer.weight, (0.5, 2)),
        (layer.bias, (-1, 1)),
        (layer.running_mean, (-1, 1)),
        (layer.running_var, (0.2, 3)),
    ):
        if values is not None:
            nn.init.uniform_(values, low, high)
    return layer.double().eval()


@pytest.mark.parametrize(("bias", "affine"), [(True, True), (False, True), (True, False)])
@torch.no_grad()
def test_a_folded_layer_is_layer_and_norm(bias, affine):
    conv = nn.Conv2d(4, 6, 3, groups=2, bias=bias).double()
    x, after = torch.randn(2, 4, 7, 7).double(), norm(6, affine=affine)
    expected = after(conv(x))
    torch.testing.assert_close(fold(conv, after)(x), expected, rtol=0, atol=1e-12)
    folded = fold_layer(Layer(conv, after, nn.ReLU()))
    torch.testing.assert_close(folded(x), expected.relu(), rtol=0, atol=1e-12)


class Standardised(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight - self.weight.mean(), None, self.stride, self.padding)


def subclass(conv: nn.Conv2d) -> nn.Conv2d:
    conv.__class__ = Standardised
    return conv


def hooked(conv: nn.Conv2d) -> nn.Conv2d:
    conv.register_forward_hook(lambda module, inputs, output: -output)
    return conv


def pre_hooked(conv: nn.Conv2d) -> nn.Conv2d:
    conv.register_forward_pre_hook(lambda module, inputs: (-inputs[0],))
    return conv


def parametrised(conv: nn.Conv2d) -> nn.Conv2d:
    return nn.utils.parametrizations.weight_norm(conv)


def patched(conv: nn.Conv2d) -> nn.Conv2d:
    conv.forward = conv.extra = lambda x: -F.conv2d(x, conv.weight, None, conv.stride, conv.padding)
    return conv


def circular(conv: nn.Conv2d) -> nn.Conv2d:
    other = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        3,
        conv.stride,
        1,
        bias=False,
        padding_mode="circular",
    )
    other.weight = conv.weight
    return other


NOT_PLAIN = (subclass, hooked, pre_hooked, parametrised, patched, circular)


@pytest.mark.parametrize("change", NOT_PLAIN)
def test_what_computes_something_else_is_not_folded(change):
    assert fold(change(nn.Conv2d(4, 4, 3, padding=1, bias=False)), norm(4)) is None


@pytest.mark.parametrize(
    "other", [nn.GroupNorm(2, 4), nn.Identity(), nn.BatchNorm2d(4, track_running_stats=False)]
)
def test_norms_without_fixed_statistics_are_not_folded(other):
    assert fold(nn.Conv2d(4, 4, 1), other) is None


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("change", NOT_PLAIN)
@pytest.mark.parametrize("name", ["blend", "n2-basic"])
@torch.no_grad()
def test_engines_of_changed_layers_answer_as_the_model(networks, images, name, change, portable):
    """In the stem, in paths, in shortcuts: each runs as what it is."""
    network = copy.deepcopy(networks[name])
    for module in list(network.backbone.modules()):
        for child, layer in list(module.named_children()):
            if type(layer) is nn.Conv2d and layer.kernel_size == (3, 3):
                setattr(module, child, change(layer).double())
    expected = network(images)
    if change is patched:  # a copy of such a module still calls the original
        planned = plan(network, images[:1])
        assert not any(isinstance(p, FoldedPath) for b in planned.blocks for p in b.paths)
        return
    ours = Engine(network, images, threads=1, portable=portable)(images)
    assert ours.path.on.equal(expected.path.on)
    torch.testing.assert_close(ours.logits, expected.logits, rtol=0, atol=1e-9)


@torch.no_grad()
def test_known_networks_are_planned_without_modules(network, images):
    planned = plan(copy.deepcopy(network), images[:1])
    assert isinstance(planned.stem, FoldedStem)
    assert isinstance(planned.head, FoldedHead)
    for block in planned.blocks:
        assert all(isinstance(path, FoldedPath) for path in block.paths)
        if block.router is not None:
            assert isinstance(block.router, RouterWeights)
            assert isinstance(block.gate, GateWeights)
            assert block.shortcut is None or not isinstance(block.shortcut, nn.Sequential)
    torch.testing.assert_close(planned.stem(images), network.backbone.stem(images))


class Negative(ResNetConfig):
    """Its backbone overrides the stem and the head, and describes neither."""

    def build(self, num_classes, *, granularity=None, combine="additive"):
        backbone = super().build(num_classes, granularity=granularity, combine=combine)

        class NegativeResNet(type(backbone)):
            def stem(self, images):
                return -super().stem(images)

            def head(self, x):
                return -super().head(x)

        backbone.__class__ = NegativeResNet
        return backbone


class Liar(ResNetConfig):
    """Its backbone describes a stem that it does not have."""

    def build(self, num_classes, *, granularity=None, combine="additive"):
        backbone = super().build(num_classes, granularity=granularity, combine=combine)

        class LyingResNet(type(backbone)):
            def stem(self, images):
                return -super().stem(images)

            @property
            def stem_layers(self):
                return super().stem_layers

        backbone.__class__ = LyingResNet
        return backbone


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("config", [Negative, Liar])
@torch.no_grad()
def test_a_backbone_that_describes_nothing_or_something_else_runs_as_it_is(config, portable):
    backbone = config(block="basic", depths=(1,), widths=(4,), stem="cifar")
    model = DynamicNetwork(DynamicConfig(backbone=backbone, num_classes=3)).double().eval()
    images = torch.randn(3, 3, 9, 9, dtype=torch.float64)
    ours = Engine(model, images, threads=1, portable=portable)(images)
    torch.testing.assert_close(ours.logits, model(images).logits, rtol=0, atol=1e-9)


@torch.no_grad()
def test_routers_and_gates_that_override_forward_alone_run_as_modules(networks, images):
    network = copy.deepcopy(networks["blend"])

    class OtherRouter(ShortRangeRouter):
        def forward(self, pooled, state):
            feature, state = super().forward(pooled, state)
            return 1 - feature, state

    class OtherGate(TwoLogitGate):
        def _on(self, margin):
            return margin > 0.5

        def forward(self, feature, noise=None, *, relaxed):
            return super().forward(feature, noise, relaxed=relaxed)

    for router, gate in zip(network.routers.values(), network.gates.values(), strict=True):
        router.__class__, gate.__class__ = OtherRouter, OtherGate
    expected = network(images)
    ours = Engine(network, images, threads=1)(images)
    assert ours.path.on.equal(expected.path.on)
    torch.testing.assert_close(ours.logits, expected.logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 3, 8])
@torch.no_grad()
def test_channels_that_are_off_count_nothing(networks, count):
    """Against the masked path of the model."""
    network = networks["channels-basic"]
    path: Path = network.backbone.blocks[1].paths[0]
    planned = plan(copy.deepcopy(network), torch.zeros(1, 3, 13, 16, dtype=torch.float64))
    folded = planned.blocks[1].paths[0]
    assert isinstance(folded, FoldedPath)
    on = torch.arange(folded.layers[0].conv.out_channels) < count
    salience = torch.linspace(0.2, 1, len(on), dtype=torch.float64)
    x = torch.randn(1, folded.layers[0].conv.in_channels, 7, 9, dtype=torch.float64)
    expected = path(x, (salience * on)[None])
    torch.testing.assert_close(run_channels(folded, x, on, salience), expected, rtol=0, atol=1e-12)
