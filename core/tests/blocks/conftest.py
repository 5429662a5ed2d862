"""Single blocks with every kind of shortcut, in float64 and evaluation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dyncore.backbones import ResNetConfig
from dyncore.blocks import GatedBlock, Granularity

IN_CHANNELS = 8


def _make_block(
    shortcut: str = "identity", *, form: str = "basic", combine: str = "additive", paths: int = 1
) -> GatedBlock:
    """The second block of a network; ``shortcut`` is identity, pad or projection."""
    same = shortcut == "identity"
    width = IN_CHANNELS if form == "basic" else IN_CHANNELS // 4
    config = ResNetConfig(
        block=form,
        depths=(2,) if same else (1, 1),
        widths=(width,) if same else (width, 2 * width),
        stem="cifar",
        shortcut="projection" if same else shortcut,
    )
    torch.manual_seed(7)
    backbone = config.build(3, granularity=Granularity(paths=paths), combine=combine)
    block = backbone.blocks[1].double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return block


@pytest.fixture(scope="session")
def make_block() -> Callable[..., GatedBlock]:
    """Builds a block."""
    return _make_block


@pytest.fixture(scope="session")
def x() -> Tensor:
    """Input of a block, of both signs, so that the shortcut's activation matters."""
    generator = torch.Generator().manual_seed(11)
    return torch.randn(4, IN_CHANNELS, 5, 6, generator=generator, dtype=torch.float64)
