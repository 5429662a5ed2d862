"""Networks inside of one as members of a cascade."""

from collections.abc import Sequence

from dyncore.cascade._member import Member
from dyncore.cost import CostTable
from dyncore.network import DynamicNetwork


def nested_members(model: DynamicNetwork, budgets: Sequence[float] | None) -> list[Member]:
    """The networks inside of ``model`` whose shares of its cost are nearest to the budgets.

    None: all of them. Raises ValueError as :meth:`Cascade.nested` does.
    """
    if model.config.gate is not None:
        raise ValueError(
            "a routed network was trained for one budget, and its decisions cannot be moved to "
            "another yet: train one for each budget and give them as Cascade([cheap, dear])"
        )
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
