"""Objective parts that more than one method uses."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from dyncore.cost import CostTable, execution_rate_loss, flops_ratio_loss, read_profile
from dyncore.data import Batch
from dyncore.gating import Decision, ExecutionPath
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives._checks import check_fraction, check_weight
from dyncore.objectives._part import ObjectiveConfig, ObjectivePart

Reads = Literal["noise-free", "training"]


def _read(path: ExecutionPath, reads: Reads) -> ExecutionPath:
    return path.noise_free if reads == "noise-free" else path


def _check_reads(reads: str) -> None:
    if reads not in get_args(Reads):
        raise ValueError(f"reads must be one of {get_args(Reads)}, not {reads!r}")


class CrossEntropy(ObjectivePart):
    """Cross-entropy of the logits: mean over the batch."""

    def __init__(self, label_smoothing: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        loss = F.cross_entropy(output.logits, batch.labels, label_smoothing=self.label_smoothing)
        return {"classification": loss}


@dataclass(frozen=True, kw_only=True)
class CrossEntropyConfig(ObjectiveConfig):
    """L_cls."""

    name: ClassVar[str] = "cross-entropy"
    label_smoothing: float = 0.0
    """Share of the target spread over all classes."""

    def __post_init__(self) -> None:
        check_fraction("label_smoothing", self.label_smoothing)

    def build(self, model: DynamicNetwork, table: CostTable) -> CrossEntropy:
        return CrossEntropy(self.label_smoothing)


class _Budget(ObjectivePart):
    """A part with a target in 0 … 1, which may begin open, or change from step to step."""

    target: float

    def __init__(self, target: float) -> None:
        super().__init__()
        self._own = self._aim = self.target = target

    def aim(self, target: float | None) -> None:
        """See :meth:`ObjectivePart.aim`."""
        self._aim = self.target = self._own if target is None else target

    def open(self, openness: float) -> None:
        """See :meth:`ObjectivePart.open`."""
        self.target = self._aim + openness * (1 - self._aim)


class ExecutionRate(_Budget):
    """See :func:`dyncore.cost.execution_rate_loss`."""

    def __init__(self, table: CostTable, config: "ExecutionRateConfig") -> None:
        super().__init__(config.target)
        self.table = table
        self.config = config

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        config = self.config
        path = _read(output.path, config.reads)
        if config.leak:
            path = ExecutionPath(tuple(_leaking(decision, config.leak) for decision in path))
        loss = execution_rate_loss(path, self.table, self.target, config.tolerance)
        return {"rate": config.weight * loss}


def _leaking(decision: Decision, leak: float) -> Decision:
    """The same decision, whose weights have at least ``leak`` for a gradient in the margin."""
    margin = None if decision.training is None else decision.training.margin
    if margin is None:
        return decision
    slope = leak * (margin - margin.detach())
    return decision._replace(paths=decision.paths._replace(weight=decision.weight + slope))


@dataclass(frozen=True, kw_only=True)
class ExecutionRateConfig(ObjectiveConfig):
    """Pull the execution rate of every block to one target."""

    name: ClassVar[str] = "execution-rate"
    target: float
    """Target rate (e in CDB and DMNN, t in RDI-Net and SP-Net)."""
    tolerance: float = 0.0
    """How far from the target a block's rate may be at no cost (ours)."""
    weight: float = 1.0
    """Weight of the term."""
    leak: float = 0.0
    """Gradient in its margin that a gate keeps here though it is sure of every image (ours)."""
    reads: Reads = "training"
    """What is held to the target: the noisy or relaxed weights of training, as printed, or what
    evaluation would decide (ours)."""

    def __post_init__(self) -> None:
        check_fraction("target", self.target)
        check_fraction("tolerance", self.tolerance)
        check_fraction("leak", self.leak)
        check_weight("weight", self.weight)
        _check_reads(self.reads)

    def build(self, model: DynamicNetwork, table: CostTable) -> ExecutionRate:
        return ExecutionRate(table, self)


class FlopsRatio(_Budget):
    """See :func:`dyncore.cost.flops_ratio_loss`."""

    def __init__(self, table: CostTable, target: float, weight: float, reads: Reads) -> None:
        super().__init__(target)
        self.table = table
        self.weight = weight
        self.reads: Reads = reads

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        path = _read(output.path, self.reads)
        loss = flops_ratio_loss(path, self.table, self.target)
        return {"flops": self.weight * loss}


@dataclass(frozen=True, kw_only=True)
class FlopsRatioConfig(ObjectiveConfig):
    """Pull the executed share of all gated MACs, or of their measured time, to a target."""

    name: ClassVar[str] = "flops-ratio"
    target: float
    """Target ratio r of executed over all gated MACs."""
    weight: float = 1.0
    """Weight of the term."""
    reads: Reads = "training"
    """What is held to the target: the noisy or relaxed weights of training, as printed, or what
    evaluation would decide (ours)."""
    latency: str = ""
    """File of an engine's profile (``dyn bench MODEL --blocks --output FILE``), whose times then
    stand in the place of MACs (ours); empty: MACs."""

    def __post_init__(self) -> None:
        check_fraction("target", self.target)
        check_weight("weight", self.weight)
        _check_reads(self.reads)

    def build(self, model: DynamicNetwork, table: CostTable) -> FlopsRatio:
        if self.latency:
            table = _times(self.latency, table)
        return FlopsRatio(table, self.target, self.weight, self.reads)


def _times(file: str, table: CostTable) -> CostTable:
    """The cost table in a profile, for the same network as ``table``."""
    times = read_profile(file).table
    shapes = [[(b.gated, len(b.paths)) for b in t.blocks] for t in (times, table)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"latency: {file} is the profile of another network: it has {len(times.blocks)} blocks "
            f"with {sum(len(b.paths) for b in times.blocks)} paths, the model {len(table.blocks)} "
            f"with {sum(len(b.paths) for b in table.blocks)}; profile this one"
        )
    if not times.gated:
        raise ValueError(
            f"latency: in {file} the gated paths take 0 ns, so no decision saves any time: measure "
            "again while nothing else runs, or train to a budget of MACs"
        )
    return times
