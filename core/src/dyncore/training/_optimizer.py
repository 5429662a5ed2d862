"""The optimiser of a phase and its learning rates."""

from torch import nn
from torch.optim import Optimizer

from dyncore.network import DynamicNetwork
from dyncore.recipes import SGD, TorchOptimizer


def build_optimizer(
    model: DynamicNetwork, parameters: list[nn.Parameter], settings: SGD | TorchOptimizer
) -> Optimizer:
    """Of ``parameters``; routers and gates form a group where they have their own rate.

    A group keeps its base rate as ``initial_lr``.
    """
    base, own = settings.learning_rate, settings.router_learning_rate
    parts = () if own is None else (model.routers, model.gates)
    deciding = {id(parameter) for part in parts for parameter in part.parameters()}
    rest = [p for p in parameters if id(p) not in deciding]
    routing = [p for p in parameters if id(p) in deciding]
    return settings.build(
        [
            {"params": group, "lr": rate, "initial_lr": rate}
            for group, rate in ((rest, base), (routing, own))
            if group
        ]
    )


def scale_learning_rates(optimizer: Optimizer, factor: float) -> None:
    """Set each group's learning rate to its base rate times ``factor``."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]
