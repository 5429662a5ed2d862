"""What is left to run where a member begins as the one before it: an early exit of its network."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.network import DynamicNetwork, Output, begins


@dataclass(frozen=True)
class Rest:
    """A network from some block on."""

    network: DynamicNetwork
    first: int
    """Number of the block that is next."""
    macs: int
    """For one image."""

    @classmethod
    def after(
        cls,
        before: tuple[object, CostTable | int | None],
        member: tuple[object, CostTable | int | None],
    ) -> "Rest | None":
        """Of two networks with their costs; None where the first does not begin the second."""
        (small, spent), (whole, cost) = before, member
        if not (isinstance(small, DynamicNetwork) and isinstance(whole, DynamicNetwork)):
            return None
        if not (isinstance(spent, CostTable) and isinstance(cost, CostTable)):
            return None
        if not begins(small, whole):
            return None
        macs = cost.full - (spent.full - spent.head)
        return cls(whole, len(small.backbone.blocks), macs)

    def __call__(self, features: Float[Tensor, "batch channel height width"]) -> Output:
        """Answer for images of which the member before gave these features."""
        return self.network.resume(features, self.first)
