"""Exports a tiny network that skips, without the shape checks of the tests: those cannot be traced.

Takes the network's name and the file; prints for each image, as JSON, its execution path, the
largest difference of the logits and whether the file decides the same.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import CONFIGS, _images, build

from dyncore.export import export_pt2


@torch.no_grad()
def compare(name: str, file: str) -> list[dict[str, object]]:
    config, images = CONFIGS[name], _images().float()
    one_block = replace(config.backbone, depths=(1,), widths=(4,))  # compiling takes its time
    network = build(replace(config, backbone=one_block)).float()
    export_pt2(network, images[:1], file, skip=True)
    compiled = torch._inductor.aoti_load_package(file)
    rows = []
    for image in images.split(1):
        answer, expected = compiled(image), network(image)
        rows.append(
            {
                "path": expected.path.on[0].tolist(),
                "error": (answer["logits"] - expected.logits).abs().max().item(),
                "same": answer["on"].equal(expected.path.on),
            }
        )
    return rows


print(json.dumps(compare(*sys.argv[1:])))
