"""Networks of timm and torchvision, with random weights."""

import timm
import torch
from torchvision import models

CLASSES = 3


def network(name: str) -> torch.nn.Module:
    """Norms have scales and statistics that they do not start with.

    timm's last norm of a branch starts with 0, ConvNeXt's scale of a branch so small that nothing
    shows: nothing would come of the branch.
    """
    package, _, model = name.partition(":")
    torch.manual_seed(0)
    if package == "timm":
        built = timm.create_model(model, num_classes=CLASSES)
    else:
        built = models.get_model(model, num_classes=CLASSES)
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    for parameter, values in built.named_parameters():
        if parameter.endswith(("gamma", "layer_scale")):
            torch.nn.init.uniform_(values, 0.5, 1.0)
    return built.eval()
