"""Quantises a tiny static network by torchao's PT2E, without the shape checks of the tests.

Prints, as JSON, the largest difference of its logits, their largest value, and the number of
quantised values in its graph.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import CONFIGS, _images, build


class Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = build(CONFIGS["static"]).float()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).logits


network, images = Logits(), _images().float()
quantizer = x86.X86InductorQuantizer()
quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
prepared = prepare_pt2e(torch.export.export(network, (images,)).module(), quantizer)
prepared(images)
quantised, expected = convert_pt2e(prepared), network(images)
error = (quantised(images) - expected).abs().max()
count = sum("quantize_per" in str(node.target) for node in quantised.graph.nodes)
print(json.dumps([float(error), float(expected.abs().max()), count]))
