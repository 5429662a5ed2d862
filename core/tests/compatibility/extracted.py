"""Which features torchvision's ``create_feature_extractor`` gets right, as JSON."""

import json

import torch
from torchvision.models.feature_extraction import create_feature_extractor

import dyncore
from dyncore.backbones import backbone_config

same = {}
with torch.no_grad():
    images = torch.randn(2, 3, 40, 32)
    for name in ("resnet18", "resnet20-cifar", "mobilenetv2"):
        backbone = backbone_config(name).build(5).eval()
        nodes = ["features.18"] if name == "mobilenetv2" else ["layer1", "layer2", "layer3"]
        nodes = [f"{node}.0.relu1" if node == "layer2" else node for node in nodes]
        seen = {}
        hooks = [
            backbone.get_submodule(node).register_forward_hook(
                lambda _module, _inputs, out, node=node, seen=seen: seen.update({node: out.clone()})
            )
            for node in nodes
        ]
        backbone(images)
        for hook in hooks:
            hook.remove()
        extractor = create_feature_extractor(backbone, nodes)
        for node, found in extractor(images).items():
            same[f"{name} {node}"] = torch.allclose(found, seen[node], atol=1e-6)
    gated = dyncore.create_model("rdinet-resnet20-cifar").eval().backbone
    found = create_feature_extractor(gated, {"layer3": "x"})(images)["x"]
    same["gated"] = torch.allclose(found, gated.trunk(gated.stem(images)), atol=1e-6)
print(json.dumps(same))
