"""Quantises tiny networks by torchao's PT2E, without the shape checks of the tests.

Prints, as JSON and by name, the largest difference of a network's logits, their largest value, the
number of quantised values in its graph, and how many images took another path.
"""

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import CONFIGS, _images, build

from dyncore import DynamicNetwork
from dyncore.gating import Gate, Router


class Answer(nn.Module):
    def __init__(self, network: DynamicNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output = self.network(images)
        return output.logits, output.path.on


def quantised(network: DynamicNetwork, images: Tensor) -> torch.fx.GraphModule:
    """All but routers and gates: they decide by differences that are smaller than 8 bits' steps."""
    answer = Answer(network)
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    for name, module in answer.named_modules():
        if isinstance(module, Router | Gate):
            quantizer.set_module_name_qconfig(name, None)
    prepared = prepare_pt2e(torch.export.export(answer, (images,)).module(), quantizer)
    prepared(images)
    return convert_pt2e(prepared)


def additive(network: DynamicNetwork) -> DynamicNetwork:
    """A network that blends, as the sum that a blend is for hard decisions."""
    other = DynamicNetwork(replace(network.config, combine="additive"), network.info)
    other.load_state_dict(network.state_dict())
    return other.eval()


images, found = _images().float(), {}
for name in ("static", "n2-basic", "channels-basic", "blend"):
    network = build(CONFIGS[name]).float()
    expected = network(images)
    if network.config.combine == "blend":
        network = additive(network)
        assert network(images).logits.equal(expected.logits)
    graph = quantised(copy.deepcopy(network), images)
    logits, on = graph(images)
    found[name] = (
        float((logits - expected.logits).abs().max()),
        float(expected.logits.abs().max()),
        sum("quantize_per" in str(node.target) for node in graph.graph.nodes),
        int((on != expected.path.on).any(1).sum()),
    )
print(json.dumps(found))
