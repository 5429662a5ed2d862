"""What exported files cost on the clock, against the network in eager, in one run.

``python benchmarks/export.py [--quick]`` prints, for single images on the CPU, the time of every
form over that of the masked network in eager (channels-last), and writes JSON to
``benchmarks/results/``. Weights are random; gates are set so that images decide differently, but
for every fourth block, which is never on. One image for each rate is timed: what is masked costs
the same for all of them.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
import torch.nn.functional as F
import tyro
from record import record
from rich.console import Console
from rich.table import Table
from torch import Tensor

import dyncore
from dyncore.export import export_onnx, export_pt2, freeze_unused
from dyncore.gating import Gate

RATES = (0.3, 0.5, 0.7)
"""Shares of the blocks that are on."""
CANDIDATES = 48
"""Images from which those with these rates are chosen; also what the subnet is calibrated on."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure exported files."""

    model: str = "vanilla-resnet50"
    """Name for ``dyncore.create_model``; its gates have two logits."""
    rounds: int = 5
    """Turns that every form gets."""
    calls: int = 10
    """Timed calls per turn."""
    quick: bool = False
    """ResNet-20 on 32 x 32 images, under a minute."""


def candidates(size: int) -> Tensor:
    """Images that differ in colour, contrast and texture."""
    generator = torch.Generator().manual_seed(0)
    colour = torch.randn(CANDIDATES, 3, 1, 1, generator=generator)
    contrast = torch.rand(CANDIDATES, 1, 1, 1, generator=generator)
    return colour + contrast * torch.randn(CANDIDATES, 3, size, size, generator=generator)


@torch.no_grad()
def set_gates(model: dyncore.DynamicNetwork, images: Tensor) -> None:
    """Half of the images choose a block; none chooses every fourth."""

    def spread(gate: Gate, arguments: tuple[Tensor, ...]) -> None:
        off, on = F.linear(arguments[0], gate.head.weight).unbind(1)
        scale = (on - off).std().clamp_min(1e-6)
        gate.head.weight /= scale
        gate.head.bias.copy_(torch.stack([torch.zeros(()), -((on - off) / scale).median()]))

    def never(gate: Gate, arguments: tuple[Tensor, ...]) -> None:
        gate.head.weight.zero_()
        gate.head.bias.copy_(torch.tensor([1.0, -1.0]))

    hooks = [
        site.gate.register_forward_pre_hook(never if site.index % 4 == 2 else spread)
        for site in model.sites
        if site.gate is not None
    ]
    model(images)
    for hook in hooks:
        hook.remove()


def onnx_session(file: Path) -> Callable[[Tensor], object]:
    """A call of ONNX Runtime with as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    return lambda image: session.run(None, {"images": image.numpy()})


def forms(
    model: dyncore.DynamicNetwork, images: Tensor, folder: Path
) -> dict[str, Callable[[Tensor], object]]:
    """Every form as a call; each is checked against the network when it is made."""
    one = images[:1]
    subnet = freeze_unused(model, images.split(8))
    export_pt2(model, one, folder / "masked.pt2")
    export_pt2(model, one, folder / "skipping.pt2", skip=True)
    export_onnx(model, images[:2], folder / "masked.onnx")
    export_onnx(subnet, images[:2], folder / "subnet.onnx")
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    load = torch._inductor.aoti_load_package
    return {
        "eager, masked": lambda x: model(x.contiguous(memory_format=torch.channels_last)),
        "pt2, masked": load(str(folder / "masked.pt2")),
        "pt2, --skip": load(str(folder / "skipping.pt2")),
        "ONNX Runtime, masked": onnx_session(folder / "masked.onnx"),
        "ONNX Runtime, --static-subnet": onnx_session(folder / "subnet.onnx"),
    }


@torch.no_grad()
def measure(options: Options) -> list[dict[str, float | str]]:
    """One row per form and image; times are in seconds per call."""
    size = 32 if "-cifar" in options.model else 224
    images = candidates(size)
    torch.manual_seed(0)
    model = dyncore.create_model(options.model).eval()
    set_gates(model, images)
    rates = torch.cat([model(batch).path.on.float().mean(1) for batch in images.split(8)])
    chosen = [int((rates - rate).abs().argmin()) for rate in RATES]
    seconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = forms(model, images, Path(folder))
        for turn in range(options.rounds):
            for name, run in runs.items():
                for index in chosen:
                    image = images[index : index + 1]
                    run(image)
                    for _ in range(options.calls):
                        start = time.perf_counter()
                        run(image)
                        seconds.setdefault((name, index), []).append(time.perf_counter() - start)
            print(f"turn {turn + 1} of {options.rounds}")
    return [
        {
            "model": options.model,
            "form": name,
            "rate": float(rates[index]),
            "p50_s": statistics.median(times),
            "p95_s": sorted(times)[int(0.95 * len(times))],
            "over_eager": statistics.median(times)
            / statistics.median(seconds["eager, masked", index]),
        }
        for (name, index), times in seconds.items()
    ]


def main(options: Options) -> None:
    """Measure, print the table, write the JSON."""
    if options.quick:
        options = Options(model="vanilla-resnet20-cifar", rounds=3, calls=10)
    rows = measure(options)
    rates = list(dict.fromkeys(row["rate"] for row in rows))
    shown = Table(title=f"{options.model}, batch 1: time over eager's masked network")
    shown.add_column("form")
    for rate in rates:
        shown.add_column(f"rate {rate:.2f}", justify="right")
    for form in dict.fromkeys(row["form"] for row in rows):
        ratios = [f"{row['over_eager']:.2f}" for row in rows if row["form"] == form]
        shown.add_row(str(form), *ratios)
    Console(width=100).print(shown)
    record("export", rows, {"onnxruntime": onnxruntime.__version__})


if __name__ == "__main__":
    main(tyro.cli(Options))
