"""A tiny RDI-Net from images to logits, against a re-derivation in NumPy; and Eq. 9's gradient."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dyn_rdinet import RelationalRouterConfig
from dyn_rdinet.method import METHOD
from dyncore import DynamicNetwork, cost_table, create_model, run_skipped
from dyncore.backbones import ResNetConfig
from dyncore.gating import Choice, Decision
from dyncore.network import DynamicConfig

BACKBONE = ResNetConfig(block="basic", depths=(1, 2), widths=(4, 8), stem="cifar", shortcut="pad")
CLASSES, DIM, GAMMA = 3, 4, 0.5


def tiny() -> DynamicNetwork:
    """Each tensor filled by a formula of its place in the state and of the place within it."""
    method = METHOD.configure(BACKBONE, 1, CLASSES)
    config = DynamicConfig(
        backbone=BACKBONE,
        num_classes=CLASSES,
        router=RelationalRouterConfig(dim=DIM, decay=GAMMA, bias_before_norm=True),
        gate=method.gate,
        combine=method.combine,
    )
    model = DynamicNetwork(config).double().eval()
    for place, (name, tensor) in enumerate(model.state_dict().items(), start=1):
        if tensor.is_floating_point():
            wave = 0.5 * torch.sin(0.9 * torch.arange(tensor.numel(), dtype=torch.float64) + place)
            values = 1 + wave if name.endswith("running_var") else wave
            tensor.copy_(values.reshape(tensor.shape))
    return model


def images() -> Tensor:
    """A pale one and a glaring one."""
    pixels = torch.arange(2 * 3 * 6 * 6, dtype=torch.float64)
    contrast = torch.tensor([3.0, 20.0], dtype=torch.float64)
    return torch.cos(0.37 * pixels).reshape(2, 3, 6, 6) * contrast[:, None, None, None]


def noise() -> Tensor:
    return torch.sin(torch.arange(2 * 3 * 2, dtype=torch.float64)).reshape(2, 3, 2)


def convolve(x, kernel, stride):
    """3x3 with padding 1; x is (C, H, W)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    rows, columns = range(0, x.shape[1], stride), range(0, x.shape[2], stride)
    out = np.zeros((len(kernel), len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = padded[:, row : row + 3, column : column + 3]
            out[:, i, j] = (kernel * window).sum((1, 2, 3))
    return out


def derive(weights: dict[str, np.ndarray], image, gumbel, *, hard: bool):
    """Eq. 5-9 for one image: its decisions v and its logits."""

    def norm(name, x):
        mean, var, weight, bias = (
            weights[f"{name}.{part}"].reshape(-1, *[1] * (x.ndim - 1))
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

    x = convolve(image, weights["backbone.conv1.weight"], 1)
    x = np.maximum(norm("backbone.bn1", x), 0)
    features, decisions = [], []
    for n, (name, stride) in enumerate([("layer1.0", 1), ("layer2.0", 2), ("layer2.1", 1)]):
        # Eq. 5-7
        align = weights[f"routers.{n}.align.weight"] @ x.mean((1, 2))
        s = np.maximum(norm(f"routers.{n}.norm", align + weights[f"routers.{n}.align.bias"]), 0)
        for distance, earlier in enumerate(reversed(features), start=1):
            s = s + GAMMA**distance * earlier
        s = np.maximum(weights[f"routers.{n}.mix.weight"] @ s, 0)
        features.append(s)
        # Eq. 8
        logits = weights[f"gates.{n}.head.weight"] @ s + weights[f"gates.{n}.head.bias"] + gumbel[n]
        v = np.exp(logits[1]) / np.exp(logits).sum()
        v = float(v > 0.5) if hard else v
        decisions.append(v)
        # Eq. 9
        block = f"backbone.{name}"
        y = convolve(x, weights[f"{block}.conv1.weight"], stride)
        y = np.maximum(norm(f"{block}.bn1", y), 0)
        y = norm(f"{block}.bn2", convolve(y, weights[f"{block}.conv2.weight"], 1))
        if stride == 2:
            x = np.pad(x[:, ::2, ::2], ((2, 2), (0, 0), (0, 0)))
        x = v * np.maximum(x + y, 0) + (1 - v) * x
    head = weights["backbone.fc.weight"] @ x.mean((1, 2)) + weights["backbone.fc.bias"]
    return np.array(decisions), head


def derived(*, hard: bool) -> tuple[np.ndarray, np.ndarray]:
    weights = {name: tensor.numpy() for name, tensor in tiny().state_dict().items()}
    gumbel = np.zeros((2, 3, 2)) if hard else noise().numpy()
    rows = [derive(weights, x, g, hard=hard) for x, g in zip(images().numpy(), gumbel, strict=True)]
    return np.stack([v for v, _ in rows]), np.stack([logits for _, logits in rows])


GOLDEN_WEIGHTS = [
    [0.674586313347, 0.290652716021, 0.676180807289],
    [0.7178186317, 0.59140788968, 0.922567782513],
]
GOLDEN_LOGITS = [
    [1.461930265282, 2.304293521929, 1.352239848026],
    [-2.750588663243, 5.383504839869, 9.311243282534],
]


def test_relaxed_decisions_and_logits_are_golden():
    weights, logits = derived(hard=False)
    np.testing.assert_allclose(weights, GOLDEN_WEIGHTS, rtol=0, atol=1e-11)
    np.testing.assert_allclose(logits, GOLDEN_LOGITS, rtol=0, atol=1e-11)
    output = tiny()(images(), noise=noise(), relaxed=True)
    np.testing.assert_allclose(output.path.weight.detach(), weights, rtol=0, atol=1e-13)
    np.testing.assert_allclose(output.logits.detach(), logits, rtol=0, atol=1e-13)


def test_hard_decisions_skip_whole_blocks():
    decisions, logits = derived(hard=True)
    assert decisions.tolist() == [[0, 0, 1], [0, 1, 1]]
    for output in (tiny()(images()), run_skipped(tiny(), images())):
        np.testing.assert_array_equal(output.path.on, decisions)
        np.testing.assert_allclose(output.logits.detach(), logits, rtol=0, atol=1e-13)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_soft_mix_has_the_gradient_of_eq_9(index):
    """dx_{n+1}/dv = F(x) - x, where a block that changes shapes has its rectified shortcut."""
    model = tiny()
    block = model.backbone.blocks[index]
    x = model.backbone.stem(images())
    for earlier in model.backbone.blocks[:index]:
        x = earlier(x)
    v = torch.tensor([[0.3], [0.9]], dtype=torch.float64, requires_grad=True)
    mixed = block(x, Decision(Choice(v > 0.5, v)))
    upstream = torch.sin(torch.arange(mixed.numel(), dtype=torch.float64)).reshape(mixed.shape)
    mixed.backward(upstream)
    skipped = block(x, Decision.of(torch.zeros(2, 1, dtype=torch.bool), dtype=x.dtype))
    if index != 1:
        torch.testing.assert_close(skipped, x)
    expected = (upstream * (block(x) - skipped)).sum((1, 2, 3))
    torch.testing.assert_close(v.grad, expected[:, None])


@pytest.mark.parametrize("edges", ["decay", "cosine"])
def test_a_router_costs_its_three_linear_layers(edges):
    model = create_model("rdinet-resnet20-cifar", router={"edges": edges})
    channels = [16, 16, 16, 16, 32, 32, 32, 64, 64]
    expected = [c * 256 + 256 * 256 + 256 * 2 for c in channels]
    assert [block.router for block in cost_table(model, (3, 32, 32)).blocks] == expected


def test_models_of_several_paths_are_additive():
    model = create_model("rdinet-resnet20-cifar-n2")
    assert model.config.combine == "additive"
    assert model.paths_per_block == (2,) * 9
