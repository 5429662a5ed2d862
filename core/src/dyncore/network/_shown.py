"""A network in a few lines; ``print(model.backbone)`` shows its modules."""

from torch import nn

from dyncore.network._config import DynamicConfig
from dyncore.network._info import ModelInfo


def shown(network: nn.Module, config: DynamicConfig, info: ModelInfo, gated: int) -> str:
    """Name, size and parts of a network with ``gated`` gated blocks."""
    parameters = list(network.parameters())
    count = sum(parameter.numel() for parameter in parameters)
    where = f", {parameters[0].dtype}, {parameters[0].device}" if parameters else ""
    parts = "static: every block runs"
    if config.router is not None and config.gate is not None:
        channels = ", channels within" if config.granularity.channels else ""
        parts = (
            f"{gated} gated blocks of {config.granularity.paths} paths{channels}; router "
            f"{config.router.name}, gate {config.gate.name}, {config.combine}"
        )
    return (
        f"{type(network).__name__}({info.model or config.backbone.name}: {config.num_classes} "
        f"classes, {count:,} parameters{where}\n  {parts})"
    )
