"""What execution costs, in MACs, and the losses that hold it to a budget."""

from dyncore.cost._budget import execution_rate_loss, flops_ratio_loss
from dyncore.cost._count import count_macs
from dyncore.cost._global_batch import global_batch, global_mean
from dyncore.cost._measure import cost_table
from dyncore.cost._profile import Profile, read_profile
from dyncore.cost._table import Accounting, BlockCost, CostTable, PathCost

__all__ = [
    "Accounting",
    "BlockCost",
    "CostTable",
    "PathCost",
    "Profile",
    "cost_table",
    "count_macs",
    "execution_rate_loss",
    "flops_ratio_loss",
    "global_batch",
    "global_mean",
    "read_profile",
]
