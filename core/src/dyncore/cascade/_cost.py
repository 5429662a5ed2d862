"""A cascade's cost table."""

from collections.abc import Sequence

from dyncore.cascade._cascade import Cascade
from dyncore.cost import BlockCost, CostTable, PathCost, cost_table


@cost_table.register
def cascade_cost_table(model: Cascade, input_size: tuple[int, int, int]) -> CostTable:
    """Each member as a block of one path, on for the images it is asked about.

    The static backbone is the last member; one that goes on from the features of the member before
    has the rest of its cost. Of members that decide for themselves the table knows
    the cost with every path on; an image's own cost is in ``Output.macs``. ``input_size`` is that
    of the cascade's images; members have sizes of their own. Raises ValueError where a member's
    MACs are not known.
    """
    costs = []
    for member in model.members:
        if member.cost is None:
            raise ValueError(f"nobody knows the MACs of {member.name}: give Member(cost=...)")
        whole = member.cost.full if isinstance(member.cost, CostTable) else member.cost
        costs.append(whole if member.rest is None else member.rest.macs)
    return members_table(costs, whole, input_size)


def members_table(
    costs: Sequence[int], static: int, input_size: tuple[int, int, int], unit: str = "MACs"
) -> CostTable:
    """The table of members that add ``costs``; the last one costs ``static`` alone."""
    return CostTable(
        input_size=input_size,
        static=static,
        stem=0,
        head=0,
        blocks=tuple(
            BlockCost(gated=index > 0, router=0, shortcut=0, paths=(PathCost((cost,)),))
            for index, cost in enumerate(costs)
        ),
        unit=unit,
    )
