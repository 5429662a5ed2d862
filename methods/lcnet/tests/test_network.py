"""Tiny LC-Nets from images to logits, against a re-derivation of Eq. 2-5 in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dyn_lcnet.method import METHOD
from dyncore import DynamicNetwork, cost_table, create_model, run_skipped
from dyncore.backbones import ResNetConfig
from dyncore.blocks import Granularity
from dyncore.gating import ExecutionPath, ReLU1GateConfig

BACKBONES = {
    "basic": ResNetConfig(block="basic", depths=(1, 2), widths=(4, 6), stem="cifar"),
    "bottleneck": ResNetConfig(block="bottleneck", depths=(1, 2), widths=(3, 4), stem="cifar"),
}
NETS = ["L-Net and C-Net", "L-Net", "C-Net"]
LEAK = 0.05


def tiny(form: str, nets: str = NETS[0]) -> DynamicNetwork:
    """Each tensor filled by a formula of its place in the state and of the place within it."""
    config = METHOD.configure(BACKBONES[form], 1, 3)
    config = replace(config, gate=ReLU1GateConfig(leak=LEAK, blocks="L-Net" in nets))
    if "C-Net" not in nets:
        config = replace(config, granularity=Granularity())
    model = DynamicNetwork(config).double().eval()
    for place, (name, tensor) in enumerate(model.state_dict().items(), start=1):
        if tensor.is_floating_point():
            wave = 0.5 * torch.sin(0.9 * torch.arange(tensor.numel(), dtype=torch.float64) + place)
            values = 1 + wave if name.endswith("running_var") else wave
            tensor.copy_(values.reshape(tensor.shape) * (3 if ".head." in name else 1))
    return model


def images() -> Tensor:
    """A pale one and a glaring one."""
    pixels = torch.arange(2 * 3 * 6 * 6, dtype=torch.float64)
    contrast = torch.tensor([1.0, 4.0], dtype=torch.float64)
    return torch.cos(0.37 * pixels).reshape(2, 3, 6, 6) * contrast[:, None, None, None]


def convolve(x, kernel, stride):
    """Any odd size, padded to keep the image's; x is (C, H, W)."""
    side = kernel.shape[2]
    padded = np.pad(x, ((0, 0), *[(side // 2, side // 2)] * 2))
    rows, columns = range(0, x.shape[1], stride), range(0, x.shape[2], stride)
    out = np.zeros((len(kernel), len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = padded[:, row : row + side, column : column + side]
            out[:, i, j] = (kernel * window).sum((1, 2, 3))
    return out


def relu1(score: float, leak: float) -> float:
    """Eq. 5, and its leaky form."""
    if score <= 0:
        return leak * score
    if score <= 1:
        return score
    return 1 + leak * (score - 1)


def derive(weights: dict[str, np.ndarray], form: str, nets: str, image, *, hard: bool):
    """Eq. 2-5 for one image: its saliences and its logits."""

    def norm(name, x):
        mean, var, weight, bias = (
            weights[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

    def layer(name, n, x, stride=1):
        return norm(f"{name}.bn{n}", convolve(x, weights[f"{name}.conv{n}.weight"], stride))

    x = np.maximum(layer("backbone", 1, image), 0)
    saliences = []
    for n, (block, stride) in enumerate([("layer1.0", 1), ("layer2.0", 2), ("layer2.1", 1)]):
        name = f"backbone.{block}"
        # Eq. 3 and 4: one shared pooling
        scores = weights[f"gates.{n}.head.weight"] @ x.mean((1, 2))
        scores = scores + weights[f"gates.{n}.head.bias"]
        scores = np.array([relu1(score, 0.0 if hard else LEAK) for score in scores])
        layer_score, scores = (scores[0], scores[1:]) if "L-Net" in nets else (1.0, scores)
        channels = len(weights[f"{name}.conv1.weight"])
        channel_scores = scores if "C-Net" in nets else np.ones(channels)
        saliences.append([layer_score, *channel_scores])
        # Eq. 4: the first convolution's channels, normed and not yet rectified
        y = layer(name, 1, x, stride if form == "basic" else 1)
        y = np.maximum(np.stack([s * map_ for s, map_ in zip(channel_scores, y, strict=True)]), 0)
        y = layer(name, 2, y, 1 if form == "basic" else stride)
        if form == "bottleneck":
            y = layer(name, 3, np.maximum(y, 0))
        # Eq. 2: the residual, not the shortcut
        shortcut = x
        if f"{name}.downsample.0.weight" in weights:
            shortcut = convolve(x, weights[f"{name}.downsample.0.weight"], stride)
            shortcut = norm(f"{name}.downsample.1", shortcut)
        x = np.maximum(layer_score * y + shortcut, 0)
    head = weights["backbone.fc.weight"] @ x.mean((1, 2)) + weights["backbone.fc.bias"]
    return saliences, head


def derived(form: str, nets: str, *, hard: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """(image, salience) of each block, and the logits."""
    weights = {name: tensor.numpy() for name, tensor in tiny(form, nets).state_dict().items()}
    rows = [derive(weights, form, nets, image, hard=hard) for image in images().numpy()]
    saliences = [np.array(block) for block in zip(*(s for s, _ in rows), strict=True)]
    return saliences, np.stack([logits for _, logits in rows])


@pytest.mark.parametrize("hard", [False, True], ids=["leaky", "clamped"])
@pytest.mark.parametrize("nets", NETS)
@pytest.mark.parametrize("form", BACKBONES)
def test_network_is_eq_2_to_5(form, nets, hard):
    saliences, logits = derived(form, nets, hard=hard)
    model = tiny(form, nets)
    forms = [model(images(), relaxed=not hard)]
    if hard:
        forms.append(run_skipped(model, images()))
    for output in forms:
        np.testing.assert_allclose(output.logits.detach(), logits, rtol=0, atol=1e-12)
        for decision, expected in zip(output.path, saliences, strict=True):
            on = decision.on
            found = decision.weight
            if decision.channels is not None:
                on = torch.cat([on, decision.channels.on], dim=1)
                found = torch.cat([found, decision.channels.weight], dim=1)
            expected = expected[:, : found.shape[1]]
            np.testing.assert_allclose(found.detach(), expected, rtol=0, atol=1e-13)
            np.testing.assert_array_equal(on, expected > 0)


@pytest.mark.parametrize("form", BACKBONES)
def test_saliences_lie_below_within_and_above_the_unit_interval(form):
    """The parity above could not tell leaky from clamped otherwise, nor a score's place."""
    saliences, _ = derived(form, NETS[0], hard=False)
    layers = np.concatenate([block[:, 0] for block in saliences])
    channels = np.concatenate([block[:, 1:].ravel() for block in saliences])
    for scores in (layers, channels):
        assert (scores < 0).any()
        assert (scores > 1).any()
    assert ((channels > 0) & (channels < 1)).any()


class CountPoolings(TorchDispatchMode):
    """Counts means over the two dimensions of a feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten.mean.dim and args[0].ndim == 4
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("nets", NETS)
def test_both_nets_share_one_pooling(nets):
    model = tiny("basic", nets)
    with CountPoolings() as poolings:
        model(images())
    assert poolings.count == len(model.backbone.blocks) + 1  # and the classifier's


@pytest.mark.parametrize("form", BACKBONES)
def test_blocks_without_any_channel_are_their_norms_shift(form):
    """Every block is on and every channel off: masked, skipped, and without the convolutions."""
    model = tiny(form)
    channels = model.channels_per_block
    off = torch.zeros(2, sum(channels), dtype=torch.bool)
    on = torch.ones(2, 3, dtype=torch.bool)
    path = ExecutionPath.of(on, model.paths_per_block, off, channels, dtype=torch.float64)
    masked = model(images(), path=path)
    skipped = run_skipped(model, images(), path=path)
    torch.testing.assert_close(skipped.logits, masked.logits, rtol=0, atol=1e-12)
    expected = tiny(form)
    for block in expected.backbone.blocks:
        block.conv2.weight.data.zero_()  # reads the gated channels
    every = ExecutionPath.of(on, model.paths_per_block, dtype=torch.float64)
    torch.testing.assert_close(skipped.logits, expected(images(), path=every).logits)
    table = cost_table(model, (3, 6, 6))
    last = sum(sum(path.layers[2:]) for block in table.blocks for path in block.paths)
    assert table.macs(path).tolist() == [table.always + last] * 2


def test_a_skipped_block_leaves_its_input():
    model = tiny("basic")
    block = model.backbone.blocks[2]
    x = model.backbone.stem(images())
    for earlier in model.backbone.blocks[:2]:
        x = earlier(x)
    off = ExecutionPath.of(torch.zeros(2, 1, dtype=torch.bool), (1,), dtype=torch.float64)
    assert torch.equal(block(x, off[0]), x)


def test_costs_of_the_control_nets_are_one_linear_layer():
    """C_in (1 + C_out) for both, C_in for L-Net, C_in C_out for C-Net."""
    for nets, scores in zip(NETS, ((1, 4), (1, 0), (0, 4)), strict=True):
        block = cost_table(tiny("basic", nets), (3, 6, 6)).blocks[0]
        assert block.router == 4 * sum(scores)


def test_model_is_identity_routers_and_relu1_gates_on_blocks_and_channels():
    config = create_model("lcnet-resnet20-cifar").config
    assert config.granularity == Granularity(channels=True)
    assert config.gate == ReLU1GateConfig(leak=0.01)
    assert (config.router.name, config.combine) == ("identity", "additive")
    only_channels = create_model("lcnet-resnet20-cifar", gate={"blocks": False})
    assert only_channels.gates["0"].head.out_features == 16


def test_scores_can_start_at_one():
    """A24: so that no block and no channel is dead at the start."""
    model = create_model("lcnet-resnet20-cifar", gate={"initial_bias": 1.0})
    for gate in model.gates.values():
        assert torch.equal(gate.head.bias, torch.ones_like(gate.head.bias))


def test_several_paths_are_refused():
    with pytest.raises(ValueError, match="one path per block, not 2: drop '-n2'"):
        create_model("lcnet-resnet18-cifar-n2")


def test_listed_backbones_are_the_papers_and_a_small_one():
    assert METHOD.backbones == (
        "resnet18-cifar",
        "resnet20-cifar",
        "resnet50-cifar",
        "resnet101-cifar",
        "resnet50",
        "resnet101",
    )
