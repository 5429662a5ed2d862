"""Exports tiny networks, without the shape checks of the tests: those cannot be traced.

Takes NAMES; prints for each, exported strictly and not, as JSON, the largest difference of logits
and weights between the network and what was exported, saved and loaded.
"""

import io
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import CONFIGS, _images, build


def compare(name: str, strict: bool) -> float:
    network, images, file = build(CONFIGS[name]), _images(), io.BytesIO()
    torch.export.save(torch.export.export(network, (images,), strict=strict), file)
    file.seek(0)
    found, expected = torch.export.load(file).module()(images), network(images)
    assert found.path.on.equal(expected.path.on)
    pairs = ((found.logits, expected.logits), (found.path.weight, expected.path.weight))
    return max((one - other).abs().max().item() for one, other in pairs)


print(
    json.dumps({name: [compare(name, strict) for strict in (False, True)] for name in sys.argv[1:]})
)
