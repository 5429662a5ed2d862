"""The 6n+2 networks against the network of He et al. (2016), section 4.2, written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.backbones import backbone_config


def by_hand(weights: dict[str, Tensor], images: Tensor, n: int, option: str) -> Tensor:
    """Logits in evaluation from a state dict."""

    def conv_norm(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{conv}.weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        statistics = (weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"])
        return F.batch_norm(x, *statistics, weights[f"{norm}.weight"], weights[f"{norm}.bias"])

    x = torch.relu(conv_norm(images, "conv1", "bn1"))
    for stage in (1, 2, 3):
        for index in range(n):
            block = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            shortcut = x
            if stride == 2 and option == "B":
                shortcut = conv_norm(x, f"{block}.downsample.0", f"{block}.downsample.1", 2)
            elif stride == 2:
                zeros = torch.zeros_like(x[:, : x.shape[1] // 2, ::2, ::2])
                shortcut = torch.cat([zeros, x[:, :, ::2, ::2], zeros], dim=1)
            y = torch.relu(conv_norm(x, f"{block}.conv1", f"{block}.bn1", stride))
            x = torch.relu(shortcut + conv_norm(y, f"{block}.conv2", f"{block}.bn2"))
    return x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]


@pytest.mark.parametrize(("name", "option"), [("resnet20-cifar", "A"), ("resnet20b-cifar", "B")])
def test_outputs_agree_with_the_network_written_out(name, option):
    torch.manual_seed(0)
    network = backbone_config(name).build(10).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.8)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)

    logits = network.eval()(images)

    expected = by_hand(network.state_dict(), images, 3, option)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("layers", "parameters"),
    [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)],
)
def test_depth_and_size_of_6n_plus_2(layers, parameters):
    """0.27, 0.46, 0.66, 0.85 and 1.7 million in He et al. (2016), Table 6 (option A)."""
    with torch.device("meta"):
        network = backbone_config(f"resnet{layers}-cifar").build(10)
        projected = backbone_config(f"resnet{layers}b-cifar").build(10)

    assert sum(p.numel() for p in network.parameters()) == parameters
    weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == layers
    assert len(network.blocks) == (layers - 2) // 2
    assert network.stages == tuple(s for s in range(3) for _ in range((layers - 2) // 6))
    extra = sum(p.numel() for p in projected.parameters()) - parameters
    assert extra == (16 * 32 + 32 * 64) + 2 * (32 + 64)
