"""Compiles tiny networks, without the shape checks of the tests: those cannot be compiled.

Takes NAME:MODE arguments; prints for each, as JSON, the largest difference of logits and weights
and the number of differing decisions.
"""

import json
import sys
from pathlib import Path

import torch
import torch._dynamo

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import CONFIGS, _images, build


def compare(name: str, mode: str) -> dict[str, float]:
    torch._dynamo.reset()
    network, images = build(CONFIGS[name]), _images()
    options = {
        "hard": {},
        "relaxed": {"relaxed": True, "noise": network.draw_noise(len(images))},
        "forced": {"path": network(images.flip(0)).path},
    }[mode]
    expected = network(images, **options)
    out = torch.compile(network, backend="eager", fullgraph=True)(images, **options)
    return {
        "logits": (out.logits - expected.logits).abs().max().item(),
        "weight": (out.path.weight - expected.path.weight).abs().max().item(),
        "on": int((out.path.on != expected.path.on).sum()),
    }


print(json.dumps({case: compare(*case.split(":")) for case in sys.argv[1:]}))
