"""A cascade's answer as the output of a network whose blocks are its members."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dyncore.gating import Decision, Deferred, ExecutionPath
from dyncore.network import Output


def output_of(
    images: Float[Tensor, "batch 3 height width"],
    answer: Float[Tensor, "batch classes"],
    member: Int[Tensor, "batch"],
    macs: Int[Tensor, "batch"] | None,
    members: int,
) -> Output:
    """``member`` answered; it and those before it are the blocks that are on for the image."""
    decisions = Deferred(partial(_decisions, member, members, answer.dtype))
    return Output(
        logits=answer,
        path=ExecutionPath(decisions),
        router_features=(None,) * members,
        pooled=(None,) * members,
        images=images,
        member=member,
        macs=macs,
    )


def _decisions(member: Tensor, members: int, dtype: torch.dtype) -> Sequence[Decision]:
    on = member[:, None] >= torch.arange(members, device=member.device)
    return ExecutionPath.of(on, (1,) * members, dtype=dtype).decisions
