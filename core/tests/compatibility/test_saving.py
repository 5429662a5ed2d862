"""Models that were changed, and `save_pretrained`.

What could not be loaded, or would come back as another network, is refused before anything is
written.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    apply_activation_checkpointing,
)
from torch.nn.utils import parametrizations, prune

import dyncore
from dyncore import DynamicNetwork
from dyncore.backbones import ResNetConfig
from dyncore.blocks import ProjectionShortcut
from dyncore.gating import FrozenGate
from dyncore.network import DynamicConfig

Save = Callable[[], None]


@pytest.fixture
def model(networks) -> DynamicNetwork:
    return copy.deepcopy(networks["blend"]).float()


@pytest.fixture
def save(model, tmp_path) -> Save:
    """Saves the model, which must write nothing if it refuses, and else must come back the same."""

    def save() -> None:
        try:
            model.save_pretrained(tmp_path)
        except ValueError:
            assert not list(tmp_path.iterdir())
            raise
        images = torch.randn(2, 3, 13, 16)
        loaded = dyncore.from_pretrained(tmp_path)
        assert loaded(images).logits.equal(model.eval()(images).logits)

    return save


def like(conv: nn.Conv2d, **changes: object) -> nn.Conv2d:
    """A convolution of the same shapes."""
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    settings = {name: getattr(conv, name) for name in names} | {"bias": False} | changes
    return nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, **settings)


@pytest.mark.situation(
    "the classifier replaced by hand, `model.backbone.fc = nn.Linear(64, 3)`",
    refused="backbone.fc.weight has shape (3, 8), expected (5, 8)…for a head of N classes use "
    "create_model(..., num_classes=N) or from_pretrained(..., num_classes=N)",
)
def test_another_head(model, save):
    model.backbone.fc = nn.Linear(8, 3)
    save()


@pytest.mark.situation("the classifier replaced by one of as many classes")
def test_a_head_of_the_same_shape(model, save):
    model.backbone.fc = nn.Linear(8, 5)
    save()


@pytest.mark.situation(
    "names of classes that are more or fewer than the logits",
    refused="info.classes has 3 names, network.num_classes is 5",
)
def test_other_classes(model, save):
    model.info = replace(model.info, classes=("ant", "bee", "cow"))
    save()


@pytest.mark.situation(
    "circular padding in place of zeros",
    refused="backbone.layer1.0.conv1.padding_mode is 'circular', expected 'zeros'",
)
def test_another_padding(model, save):
    block = model.backbone.layer1[0]
    block.conv1 = like(block.conv1, padding_mode="circular")
    save()


@pytest.mark.situation(
    "a convolution of the same shapes with another stride, padding or dilation",
    refused="backbone.layer2.0.conv1.stride is (1, 1), expected (2, 2)",
)
def test_another_stride(model, save):
    block = model.backbone.layer2[0]
    block.conv1 = like(block.conv1, stride=1)
    save()


@pytest.mark.situation(
    "the same, and what was also changed is named",
    refused="backbone.layer1.0.conv2.dilation is (2, 2), expected (1, 1); "
    "backbone.layer1.0.conv2.padding is (2, 2), expected (1, 1)",
)
def test_another_dilation(model, save):
    block = model.backbone.layer1[0]
    block.conv2 = like(block.conv2, dilation=2, padding=2)
    save()


@pytest.mark.situation(
    "a norm's `eps` or `momentum` changed",
    refused="backbone.bn1.eps is 0.1, expected 1e-05; backbone.bn1.momentum is 0.01, expected 0.1",
)
def test_another_eps(model, save):
    model.backbone.bn1.eps, model.backbone.bn1.momentum = 0.1, 0.01
    save()


@pytest.mark.situation(
    "an activation replaced", refused="backbone.layer1.0.activation is GELU…, expected "
)
def test_another_activation(model, save):
    model.backbone.layer1[0].activation = nn.GELU()
    save()


class Halved(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / 2


@pytest.mark.situation(
    "a subclass with a forward of its own in the place of a convolution",
    refused="backbone.conv1 is Halved, expected Conv2d",
)
def test_a_subclass(model, save):
    model.backbone.conv1.__class__ = Halved
    save()


@pytest.mark.situation(
    "a module's `forward` replaced", refused="backbone.bn1 has a forward of its own"
)
def test_a_forward(model, save):
    model.backbone.bn1.forward = lambda x: x
    save()


@pytest.mark.situation(
    "a shortcut replaced by one without weights, or taken out",
    refused="backbone.layer1.0.downsample is Tanh, expected Identity",
)
def test_another_shortcut(model, save):
    model.backbone.layer1[0].downsample = nn.Tanh()
    save()


@pytest.mark.situation(
    "a gate or router whose settings were changed",
    refused="gates.0.straight_through is True, expected False",
)
def test_another_gate(model, save):
    model.gates["0"].straight_through = True
    save()


@pytest.mark.situation(
    "a frozen subnet (`dyncore.export`)", refused="gates.1 is FrozenGate, expected TwoLogitGate"
)
def test_a_frozen_gate(model, save):
    gate = model.gates["1"]
    frozen = FrozenGate((None,), gate=gate)
    frozen.head = gate.head
    for name in list(frozen.gate._modules):
        delattr(frozen.gate, name)
    model.gates["1"] = frozen
    save()


@pytest.mark.situation(
    "a layer put into a stage", refused="backbone.layer1.1 is Dropout, which is not in the model"
)
def test_a_layer_more(model, save):
    model.backbone.layer1.append(nn.Dropout())
    save()


@pytest.mark.situation(
    "GroupNorm, or another norm, in the place of a BatchNorm",
    refused="backbone.bn1.num_batches_tracked is missing; backbone.bn1.running_mean is missing",
)
def test_another_norm(model, save):
    model.backbone.bn1 = nn.GroupNorm(2, 4)
    save()


@pytest.mark.situation(
    "masks of `torch.nn.utils.prune` that were not removed",
    refused="backbone.conv1.weight is missing; backbone.conv1.weight_mask is not in the model; "
    "backbone.conv1.weight_orig is not in the model",
)
def test_pruning_masks(model, save):
    prune.l1_unstructured(model.backbone.conv1, "weight", amount=0.3)
    save()


@pytest.mark.situation("`torch.nn.utils.prune`, then `prune.remove`")
def test_pruned_weights(model, save):
    prune.l1_unstructured(model.backbone.conv1, "weight", amount=0.3)
    prune.remove(model.backbone.conv1, "weight")
    save()


@pytest.mark.situation(
    "weight norm, spectral norm, parametrisations, adapters",
    refused="backbone.conv1.parametrizations.weight.original0 is not in the model",
)
def test_parametrisations(model, save):
    parametrizations.weight_norm(model.backbone.conv1)
    save()


@pytest.mark.situation(
    "layers of several types, e.g. a head in float32 on bfloat16",
    refused="the weights of this network are of several types (torch.bfloat16, torch.float32)",
)
def test_several_types(model, save):
    model.bfloat16().backbone.fc.float()
    save()


@pytest.mark.situation(
    "weights that share memory (tied)",
    refused="backbone.layer2.1.conv2.weight and backbone.layer2.1.conv1.weight are one tensor",
)
def test_tied_weights(model, save):
    block = model.backbone.layer2[1]
    block.conv2.weight = block.conv1.weight
    save()


@pytest.mark.situation(
    "weights with NaN, of a training that diverged",
    refused="backbone.fc.bias holds NaN or infinite values",
)
def test_not_finite(model, save):
    with torch.no_grad():
        model.backbone.fc.bias[0] = torch.nan
    save()


@pytest.mark.situation(
    "a network on the meta device, or offloaded", refused="backbone.bn1.bias is on the meta device"
)
def test_meta(model, save):
    model.to("meta")
    save()


@pytest.mark.situation(
    "`torch.ao` dynamic quantisation of linear layers",
    refused="backbone.fc._packed_params._packed_params is tuple, no tensor",
)
def test_quantised(model, save):
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("needs a quantised engine")
    torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, inplace=True)
    save()


class Wrapped(torch.Tensor):
    """A tensor of another kind, as torchao's and sharded ones are."""


@pytest.mark.situation(
    "weights of a tensor subclass (torchao)", refused="backbone.fc.weight is Wrapped"
)
def test_tensor_subclasses(model, save):
    weight = model.backbone.fc.weight.detach().as_subclass(Wrapped)
    model.backbone.fc.weight = nn.Parameter(weight, False)
    save()


class Unknown(ResNetConfig):
    """A configuration that nobody can find by its name."""

    name = "unknown"


@pytest.mark.situation(
    "parts of your own that no entry point names", refused="unknown backbone 'unknown'"
)
def test_unregistered_parts(tmp_path):
    backbone = Unknown(block="basic", depths=(1,), widths=(4,), stem="cifar")
    DynamicNetwork(DynamicConfig(backbone=backbone, num_classes=3)).save_pretrained(tmp_path)


@pytest.mark.situation("hooks, SyncBatchNorm, activation checkpointing, `inplace=False`")
def test_what_is_no_part_of_a_model(model, save):
    model.register_forward_hook(lambda *_: None)
    model.backbone.layer1.register_forward_hook(lambda *_: None)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    apply_activation_checkpointing(model, check_fn=lambda m: isinstance(m, ProjectionShortcut))
    model.backbone.bn1 = nn.SyncBatchNorm.convert_sync_batchnorm(model.backbone.bn1)
    save()


@pytest.mark.situation("a model that accelerate prepared, unwrapped")
def test_prepared(model, tmp_path):
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision="bf16", cpu=True)
    unwrapped = accelerator.unwrap_model(accelerator.prepare(model))
    unwrapped.save_pretrained(tmp_path)
    assert Path(tmp_path / "model.safetensors").exists()
    again = dyncore.from_pretrained(tmp_path).state_dict()
    for name, tensor in model.state_dict().items():
        assert again[name].equal(tensor), name
