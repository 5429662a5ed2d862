"""Networks of timm and torchvision in the compiled engine: the same answers, named parts."""

import pytest
import torch

import dyncore
from dyncore.engine.native import NativeBackend
from dyncore.gating import ExecutionPath

from .libraries import network

COMPILED = {
    # network: what still runs as a module
    "torchvision:resnet18": (),
    "timm:regnety_002": (),
    "timm:mobilenetv3_small_050": ("stem", "head"),
    "timm:convnext_atto": ("stem", "head", *(f"block {down} path 0" for down in (2, 5, 12))),
}
"""Grouped convolutions, excitations, 5×5 ones, ConvNeXt's; ``benchmarks/families.py`` has more."""


@pytest.mark.parametrize("name", COMPILED)
def test_a_family_runs_compiled(name):
    images = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0)).double()
    model = dyncore.make_dynamic(network(name).double(), "vanilla", example_input=images).eval()
    on = torch.rand(3, sum(model.paths_per_block), generator=torch.Generator().manual_seed(1)) < 0.5
    for site in model.sites:
        on[:, site.columns] |= not site.gated
    path = ExecutionPath.of(on, model.paths_per_block, dtype=images.dtype)
    engine = dyncore.Engine(model, images, threads=2)
    assert isinstance(engine._runner.backend, NativeBackend)
    assert engine.profile().modules == COMPILED[name]
    with torch.no_grad():
        for given in (path, None):
            expected = model(images, path=given)
            found = engine(images, path=given)
            torch.testing.assert_close(found.logits, expected.logits, rtol=1e-9, atol=1e-9)
            assert torch.equal(found.path.on, expected.path.on)
