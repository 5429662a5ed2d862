"""Stage exits: classifiers at the ends of the stages, in training only (Eq. 6)."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.network import DynamicNetwork, Output


def stages_of(model: DynamicNetwork) -> list[list[int]]:
    """The indices of the blocks of each stage."""
    stages = model.backbone.stages
    return [
        [block for block, of in enumerate(stages) if of == stage] for stage in sorted(set(stages))
    ]


def pooled_end(output: Output, block: int) -> Float[Tensor, "batch channel"]:
    """What a block gave, averaged over space: what the next router, or the head, saw of it.

    Raises ValueError where no router looked.
    """
    if block + 1 < len(output.pooled):
        pooled = output.pooled[block + 1]
    else:
        pooled = None if output.features is None else output.features.mean((2, 3))
    if pooled is None:
        raise ValueError(
            f"nothing pooled the end of block {block}: leave stage exits and feature evolution out "
            "of a phase with forced paths, in which no router runs"
        )
    return pooled


class StageExits(nn.Module):
    """``y_k = c_k(a_k(GAP x_k))``, x_k the end of stage k (Eq. 6).

    a_k takes the width of its stage to that of the last one, where a_K is the identity and c_K
    the network's own head: without its exits the network lacks nothing.
    """

    def __init__(self, model: DynamicNetwork, stages: Sequence[Sequence[int]]) -> None:
        """``stages``: the blocks of each stage that has an exit; that of the last is the head."""
        super().__init__()
        self.ends = [stage[-1] for stage in stages[:-1]]
        last_layer = [block.paths[0].layers[-1].conv for block in model.backbone.blocks]
        width, classes = last_layer[-1].out_channels, model.config.num_classes
        self.align = nn.ModuleList(
            nn.Linear(last_layer[end].out_channels, width) for end in self.ends
        )
        self.classify = nn.ModuleList(nn.Linear(width, classes) for _ in self.ends)

    def forward(self, output: Output) -> list[Float[Tensor, "batch classes"]]:
        """The logits of every exit; the network's own come last."""
        exits = zip(self.ends, self.align, self.classify, strict=True)
        logits = [classify(align(pooled_end(output, end))) for end, align, classify in exits]
        return [*logits, output.logits]
