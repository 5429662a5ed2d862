"""The networks that ``benchmarks/engine.py`` measures, with decisions that differ by image."""

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

import dyncore
from dyncore.gating import ReLU1Gate

RATES = (0.3, 0.5, 0.7, 1.0)
CALIBRATION = 16
"""Images that gates' biases are set by."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One dynamic network."""

    name: str
    model: str
    """Name for ``dyncore.create_model``."""
    size: int
    """Height and width of the images."""
    batches: tuple[int, ...]
    rates: tuple[float, ...] = RATES
    """On-probability of every path; of every channel where channels are gated."""

    router: dict[str, int] | None = None
    """Fields of the router to change."""
    gate: dict[str, int] | None = None
    """Fields of the gate to change."""
    in_bf16: bool = False
    """Whether bfloat16 is measured, if nobody says what is to be."""
    routers_apart: bool = False
    """Measured on its own decisions without its routers, too."""

    @property
    def static(self) -> str:
        """Its static backbone's name."""
        backbone = self.model.partition("-")[2]
        head, _, last = backbone.rpartition("-")
        return f"static-{head if last in ('n2', 'n4') else backbone}"


CHANNELS = (
    Workload(
        name="channels-50",
        model="lcnet-resnet50",
        size=224,
        batches=(1, 8, 32),
        rates=(0.25, 0.5, 0.75, 1.0),
    ),
    Workload(
        name="channels-18",
        model="lcnet-resnet18-cifar",
        size=32,
        batches=(1, 8, 32),
        rates=(0.1, 0.25, 0.5, 1.0),
    ),
)
GROUPS = tuple(
    replace(
        one,
        name=one.name.replace("channels", "groups"),
        gate={"channel_group": 16},
        in_bf16=one.name == "channels-50",
    )
    for one in CHANNELS
)
WORKLOADS = (
    Workload(
        name="blocks",
        model="vanilla-resnet50",
        size=224,
        batches=(1, 8, 32),
        router={"dim": 32},
        in_bf16=True,
    ),
    Workload(
        name="blocks-256",
        model="rdinet-resnet50",
        size=224,
        batches=(1, 8, 32),
        in_bf16=True,
        routers_apart=True,
    ),
    Workload(name="n2", model="dmnn-resnet50-n2", size=224, batches=(1, 8, 32), in_bf16=True),
    Workload(name="n4", model="dmnn-resnet50-n4", size=224, batches=(1, 8, 32)),
    Workload(
        name="mobile", model="dmnn-mobilenetv2-n2", size=224, batches=(1, 8, 32), in_bf16=True
    ),
    Workload(
        name="rdinet-110",
        model="rdinet-resnet110-cifar",
        size=32,
        batches=(1, 128),
        in_bf16=True,
    ),
    Workload(name="spnet-110", model="spnet-resnet110-cifar", size=32, batches=(1, 128)),
    *CHANNELS,
    *GROUPS,
)


@torch.no_grad()
def calibrated(workload: Workload, rate: float, images: Tensor) -> dyncore.DynamicNetwork:
    """The model with random weights, each of whose gates is on for a share ``rate`` of images."""
    torch.manual_seed(0)
    model = dyncore.create_model(workload.model, router=workload.router, gate=workload.gate)
    model.eval().to(images.device)
    hooks = [
        gate.register_forward_pre_hook(functools.partial(_shift, rate=rate))
        for gate in model.gates.values()
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return model


def _shift(gate: nn.Module, inputs: tuple[Tensor, ...], *, rate: float) -> None:
    """Move a gate's bias, now that all gates before it have theirs; ReLU-1 has every path on."""
    weight, bias = gate.head.weight, gate.head.bias
    if isinstance(gate, ReLU1Gate):
        paths = gate.paths if gate.blocks else 0
        weight[:paths], bias[:paths] = 0, 1
        on, scores = bias[paths:], gate.head(inputs[0])[:, paths:]
    else:
        logits = gate.head(inputs[0])
        on, scores = bias[1::2], logits[:, 1::2] - logits[:, ::2]
    on -= scores.quantile(1 - rate, dim=0) if rate < 1 else scores.min() - 1 - scores.abs().max()
