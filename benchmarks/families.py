"""Which networks of timm and torchvision become dynamic, and what of them runs compiled.

``python benchmarks/families.py [--networks NAME ...] [--method rdinet]`` makes each one dynamic,
with random weights, and compares: with all paths on the same bits; masked and skipped; MACs that
are counted and that run; saved and loaded; the compiled engine. It writes JSON to
``benchmarks/results/`` and ends with status 1 where something differs.
"""

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import tyro
from record import record
from torch import Tensor, nn

import dyncore
from dyncore.cost import count_macs
from dyncore.gating import ExecutionPath

NETWORKS = (
    *("torchvision:resnet18", "torchvision:resnet50", "timm:resnet18", "timm:resnet50"),
    *("torchvision:wide_resnet50_2", "timm:wide_resnet50_2"),
    *("torchvision:resnext50_32x4d", "timm:resnext50_32x4d"),
    *("torchvision:regnet_x_400mf", "torchvision:regnet_y_400mf"),
    *("timm:regnetx_002", "timm:regnety_002"),
    *("torchvision:convnext_tiny", "timm:convnext_atto", "timm:convnextv2_atto"),
    *("torchvision:mobilenet_v2", "timm:mobilenetv2_050"),
    *("torchvision:mobilenet_v3_small", "torchvision:mobilenet_v3_large"),
    *("timm:mobilenetv3_small_050", "timm:mobilenetv3_large_100"),
    *("torchvision:efficientnet_b0", "timm:efficientnet_b0"),
    *("torchvision:vit_b_16", "timm:vit_tiny_patch16_224", "timm:deit_tiny_patch16_224"),
    *("torchvision:swin_t", "timm:swin_tiny_patch4_window7_224"),
    *("torchvision:vgg11", "torchvision:densenet121"),
)
SQUARES = ("vit", "deit", "swin")
"""Networks for images of one size alone."""
CLASSES = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """Check families of networks."""

    networks: tuple[str, ...] = NETWORKS
    """timm:NAME or torchvision:NAME."""
    method: str = "rdinet"
    """Whose routers and gates they get."""


def network(name: str) -> nn.Module:
    """With random weights, norms included: timm's last one of a branch starts with 0."""
    package, _, model = name.partition(":")
    torch.manual_seed(0)
    if package == "timm":
        import timm

        built: nn.Module = timm.create_model(model, num_classes=CLASSES)
    else:
        from torchvision import models

        built = models.get_model(model, num_classes=CLASSES)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 2)
    for parameter, values in built.named_parameters():
        if parameter.endswith(("gamma", "layer_scale")):  # which begin so small that nothing shows
            nn.init.uniform_(values, 0.5, 1.0)
    return built.eval()


@torch.no_grad()
def check(name: str, method: str) -> dict[str, Any]:
    """One row: what became of a network."""
    size = 224 if any(kind in name for kind in SQUARES) else 64
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    static = network(name)
    try:
        model = dyncore.make_dynamic(static, method, example_input=images).eval()
    except ValueError as error:
        return {"network": name, "refused": str(error)}
    listed: Any = model.backbone.adopted
    path = random_path(model)
    exact, wide = model.double(), images.double()
    masked = exact(wide, path=path).logits
    skipped = dyncore.run_skipped(exact, wide, path=path).logits
    row = {
        "network": name,
        "blocks": len(listed.blocks),
        "dynamic": listed.dynamic,
        "channels": sum(model.channels_per_block),
        "static": sorted({block.why_static for block in listed.blocks if block.why_static}),
        "same bits": same_bits(model.float(), static, images),
        "masked - skipped": float((masked - skipped).abs().max()),
        "counted - executed MACs": counted_minus_executed(model, images, path),
    }
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = dyncore.from_pretrained(folder)
        row["saved and loaded"] = torch.equal(loaded(images).logits, model(images).logits)
    engine = dyncore.Engine(model, images, precision="fp32")
    found, expected = engine(images, path=path), model(images, path=path)
    row["engine - model"] = float((found.logits - expected.logits).abs().max())
    row["engine"] = type(engine._runner.backend).__name__  # type: ignore[attr-defined]
    row["modules"] = list(engine.profile().modules)
    return row


def same_bits(model: dyncore.DynamicNetwork, static: nn.Module, images: Tensor) -> bool:
    """Whether with all paths on it is the network that it was."""
    everything = ExecutionPath.always_on(images, model.paths_per_block)
    return torch.equal(model(images, path=everything).logits, static(images))


def random_path(model: dyncore.DynamicNetwork) -> ExecutionPath:
    """Of two images, half of what is gated."""
    generator = torch.Generator().manual_seed(1)
    on = torch.rand(2, sum(model.paths_per_block), generator=generator) < 0.5
    for site in model.sites:
        on[:, site.columns] |= not site.gated
    counts = model.channels_per_block
    channels = torch.rand(2, sum(counts), generator=generator) < 0.5 if sum(counts) else None
    return ExecutionPath.of(on, model.paths_per_block, channels, counts)


def counted_minus_executed(
    model: dyncore.DynamicNetwork, images: Tensor, path: ExecutionPath
) -> int:
    """Of the first image; routers do not run on a forced path."""
    channels, height, width = images.shape[1:]
    table = dyncore.cost_table(model, (channels, height, width))
    routers = sum(block.router for block in table.blocks)
    first = slice(0, 1)
    executed = count_macs(
        partial(dyncore.run_skipped, model, images[first], path=path.images(first))
    )
    return int(table.macs(path)[0]) - int(routers) - executed


def differs(row: dict[str, Any]) -> bool:
    """Whether something in it is not as it must be."""
    if "refused" in row:
        return False
    return not (
        row["same bits"]
        and row["saved and loaded"]
        and row["counted - executed MACs"] == 0
        and row["masked - skipped"] < 1e-9
        and row["engine - model"] < 1e-3
    )


def main(options: Options) -> int:
    """Check, print and record."""
    suffix = "" if options.method == "rdinet" else f"-{options.method}"
    rows: list[dict[str, Any]] = []
    for name in options.networks:
        rows.append(check(name, options.method))
        print("differs:" if differs(rows[-1]) else "", rows[-1], flush=True)
        record(f"families{suffix}", rows)  # what is found so far is kept
    return int(any(map(differs, rows)))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
