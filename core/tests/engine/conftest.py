"""Residual networks of a few channels, paths drawn for them, and the model's own answers."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from dyncore import Engine, ExecutionPath
from dyncore.backbones import ResNetConfig
from dyncore.blocks import Granularity
from dyncore.gating import (
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
)
from dyncore.network import DynamicConfig, DynamicNetwork


def build(
    block: str,
    widths: tuple[int, ...],
    stem: str,
    paths: int,
    channels: bool,
    shortcut: str,
    group: int = 1,
) -> DynamicNetwork:
    """One with two blocks per width, in float64; channels are decided in groups of ``group``."""
    config = DynamicConfig(
        backbone=ResNetConfig(
            block=block, depths=(2,) * len(widths), widths=widths, stem=stem, shortcut=shortcut
        ),
        num_classes=3,
        granularity=Granularity(paths=paths, channels=channels),
        router=IdentityRouterConfig() if channels else ShortRangeRouterConfig(dim=4),
        gate=ReLU1GateConfig(channel_group=group) if channels else GumbelSoftmaxGateConfig(),
    )
    model = DynamicNetwork(config).eval().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def drawn(
    model: DynamicNetwork, images: int, share: float, generator: torch.Generator, group: int = 1
) -> ExecutionPath:
    """A path whose decisions are drawn, those of ``group`` channels at once; weights are 1."""
    channels = model.channels_per_block
    on, *groups = (
        torch.rand(images, columns, generator=generator) < share
        for columns in (sum(model.paths_per_block), *(-(-count // group) for count in channels))
    )
    channel_on = torch.cat(
        [
            chosen.repeat_interleave(min(group, count), 1)[:, :count]
            for chosen, count in zip(groups, channels, strict=True)
        ],
        1,
    )
    return ExecutionPath.of(
        on,
        model.paths_per_block,
        channel_on if sum(channels) else None,
        channels,
        dtype=torch.float64,
    )


def assert_same_answers(
    engine: Engine, model: DynamicNetwork, images: torch.Tensor, path: ExecutionPath | None
) -> None:
    """``path``: forced; None: the routers' own."""
    with torch.no_grad():
        expected = model(images, path=path)
    ours = engine(images, path=path)
    for name in ("logits", "features"):
        torch.testing.assert_close(
            getattr(ours, name), getattr(expected, name), rtol=1e-9, atol=1e-9
        )


@pytest.fixture(scope="session")
def build_resnet() -> Callable[..., DynamicNetwork]:
    """Builds a network."""
    return build


@pytest.fixture(scope="session")
def drawn_path() -> Callable[..., ExecutionPath]:
    """Draws a path."""
    return drawn


@pytest.fixture(scope="session")
def assert_agrees() -> Callable[..., None]:
    """Compares an engine with its model."""
    return assert_same_answers
