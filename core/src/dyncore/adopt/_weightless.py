"""Networks without memory for their weights."""

import copy

import torch
from torch import Tensor, nn


def without_weights(network: nn.Module) -> nn.Module:
    """A copy in float32 on the meta device; what lies elsewhere is not copied first."""
    memo: dict[int, Tensor] = {}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(network, memo).to(device="meta", dtype=torch.float32)
