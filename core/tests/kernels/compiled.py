"""Compiles steps of tiny networks with kernels, without the shape checks of the tests.

Takes NAMES; prints for each, as JSON, the largest differences from the plain network that is not
compiled.
"""

import copy
import json
import sys
from pathlib import Path

import torch
import torch._dynamo

from dyncore.kernels import install_kernels
from dyncore.network import DynamicNetwork

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import CONFIGS, _images, build


def step(network: DynamicNetwork, run: torch.nn.Module) -> list[torch.Tensor]:
    """Logits, and the gradients of their mean square."""
    logits = run(_images()).logits
    logits.square().mean().backward()
    return [logits.detach(), *(p.grad for p in network.parameters() if p.grad is not None)]


def compare(name: str) -> dict[str, float]:
    torch._dynamo.reset()
    network = build(CONFIGS[name]).train()
    plain = copy.deepcopy(network)
    install_kernels(network)
    found = step(network, torch.compile(network, backend="eager", fullgraph=True))
    expected = step(plain, plain)
    logits, *gradients = (
        (one - other).abs().max().item() for one, other in zip(found, expected, strict=True)
    )
    return {"logits": logits, "gradients": max(gradients)}


print(json.dumps({name: compare(name) for name in sys.argv[1:]}))
