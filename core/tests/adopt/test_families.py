"""Networks of timm and torchvision, made dynamic: the same answers, fewer computations."""

from functools import partial

import pytest
import torch

import dyncore
from dyncore.adopt import AdoptedBackbone
from dyncore.cost import count_macs
from dyncore.gating import ExecutionPath

from .libraries import network

FAMILIES = {
    # network: (height and width, residual branches, all of which become dynamic)
    "torchvision:resnet18": (32, 8),
    "torchvision:regnet_y_400mf": (32, 16),
    "torchvision:mobilenet_v2": (32, 10),
    "torchvision:mobilenet_v3_small": (32, 6),
    "torchvision:swin_t": (64, 24),
    "timm:resnext50_32x4d": (32, 16),
    "timm:regnety_002": (32, 13),
    "timm:convnext_atto": (32, 12),
    "timm:mobilenetv3_small_050": (32, 7),
    "timm:efficientnet_b0": (32, 9),
    "timm:vit_tiny_patch16_224": (224, 24),
}
LARGER = {
    "torchvision:resnext50_32x4d": (32, 16),
    "torchvision:convnext_tiny": (32, 18),
    "timm:deit_tiny_patch16_224": (224, 24),
}
"""The same kinds of branches in networks that take long."""


def random_path(model: dyncore.DynamicNetwork, images: int) -> ExecutionPath:
    generator = torch.Generator().manual_seed(0)
    on = torch.rand(images, sum(model.paths_per_block), generator=generator) < 0.5
    for site in model.sites:
        on[:, site.columns] |= not site.gated
    counts = model.channels_per_block
    channels = torch.rand(images, sum(counts), generator=generator) < 0.5
    gated = channels if sum(counts) else None
    return ExecutionPath.of(on, model.paths_per_block, gated, counts, dtype=torch.float64)


@pytest.mark.parametrize("name", LARGER)
def test_the_branches_of_a_larger_network_are_found(name):
    """``make_dynamic`` itself checks that all paths on give the same bits."""
    size, dynamic = LARGER[name]
    model = dyncore.make_dynamic(
        network(name), "rdinet", example_input=torch.randn(1, 3, size, size)
    )
    assert model.backbone.adopted.dynamic == dynamic


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family(name, tmp_path):
    size, dynamic = FAMILIES[name]
    static = network(name).double()
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    # That all paths on give the same bits is checked by make_dynamic itself, and below.
    model = dyncore.make_dynamic(static, "rdinet", example_input=images)
    assert isinstance(model.backbone, AdoptedBackbone)
    assert model.backbone.adopted.dynamic == dynamic

    on = torch.ones(2, sum(model.paths_per_block), dtype=torch.bool)
    everything = ExecutionPath.of(on, model.paths_per_block, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(model(images, path=everything).logits, static(images))

    path = random_path(model, 2)
    with torch.no_grad():
        masked = model(images, path=path).logits
        skipped = dyncore.run_skipped(model, images, path=path).logits
    torch.testing.assert_close(skipped, masked, rtol=0, atol=1e-9)

    table = dyncore.cost_table(model, (3, size, size))
    routers = sum(block.router for block in table.blocks)  # none runs on a forced path
    for image in range(2):
        own = slice(image, image + 1)
        run = partial(dyncore.run_skipped, model, images[own], path=path.images(own))
        assert count_macs(run) == int(table.macs(path)[image]) - routers
    assert table.full - routers == count_macs(partial(static, images[:1])) == table.static

    model.train()(images).logits.square().sum().backward()
    routes = [*model.routers.parameters(), *model.gates.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in routes)
    assert any(p.grad.abs().sum() > 0 for p in model.gates.parameters())

    model.eval().save_pretrained(tmp_path)
    loaded = dyncore.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(images).logits, model(images).logits)
