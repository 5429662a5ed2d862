"""Backbones: one definition each, built static or gated."""

from dyncore.backbones._backbone import Backbone, BackboneConfig
from dyncore.backbones._mobilenet_v2 import MobileNetV2, MobileNetV2Config
from dyncore.backbones._names import BACKBONES, backbone_config
from dyncore.backbones._resnet import ResNet, ResNetConfig

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "MobileNetV2",
    "MobileNetV2Config",
    "ResNet",
    "ResNetConfig",
    "backbone_config",
]
