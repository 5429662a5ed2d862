"""Networks inside of one as members of a cascade."""

from collections.abc import Sequence
from dataclasses import replace

from dyncore.cascade._member import Member
from dyncore.cost import CostTable
from dyncore.network import DynamicNetwork


def nested_members(model: DynamicNetwork, budgets: Sequence[float] | None) -> list[Member]:
    """The networks inside of ``model`` whose shares of its cost are nearest to the budgets.

    None: all of them. Of a routed network: itself at these places of its dial. Raises ValueError as
    :meth:`Cascade.nested` does.
    """
    if model.config.gate is not None:
        return _dialled(model, budgets)
    if not model.config.nested:
        raise ValueError(
            "this network has no smaller one inside: make one with network.nested, e.g. "
            "create_model('nested-resnet32-cifar'), and train it: dyn train "
            "nested-resnet32-cifar10-finetuned --init FOLDER starts from these weights"
        )
    members = [Member.of(model.at(index)) for index in range(len(model.config.nested) + 1)]
    if budgets is None:
        return members
    costs = [member.cost.full for member in members if isinstance(member.cost, CostTable)]
    shares = [cost / costs[-1] for cost in costs]
    nearest = [min(shares, key=lambda share: abs(share - budget)) for budget in budgets]
    if nearest != sorted(set(nearest)):
        raise ValueError(
            f"budgets {tuple(budgets)} do not choose networks of growing cost: those inside of "
            f"this one cost {', '.join(f'{share:.2f}' for share in shares)} of it"
        )
    return [members[shares.index(share)] for share in nearest]


def _dialled(model: DynamicNetwork, budgets: Sequence[float] | None) -> list[Member]:
    """A routed network at several budgets; all share its weights."""
    if model.dial is None:
        raise ValueError(
            "a routed network was trained for one budget: learn what others take first, "
            "dyncore.calibrate(model, batches), or dyn calibrate MODEL --data DATA"
        )
    if budgets is None:
        raise ValueError(
            "a routed network has no end of smaller ones inside: choose some, budgets=(0.4, 0.8)"
        )
    settings = [model.dial.at(budget) for budget in budgets]
    costs = [setting.cost for setting in settings]
    if costs != sorted(set(costs)):
        raise ValueError(
            f"budgets {tuple(budgets)} do not choose networks of growing cost: they cost "
            f"{', '.join(f'{cost / model.dial.static_cost:.2f}' for cost in costs)}"
        )
    members = []
    for budget, setting in zip(budgets, settings, strict=True):
        member = Member.of(model.at_setting(setting))
        members.append(replace(member, name=f"{member.name} at {budget:g}"))
    return members
