"""Backbones: one definition each, built static or gated."""

from dyncore.backbones._backbone import Backbone, BackboneConfig
from dyncore.backbones._ends import HeadLayers, StemLayers
from dyncore.backbones._mobilenet_v2 import MobileNetV2, MobileNetV2Config
from dyncore.backbones._names import BACKBONES, backbone_config
from dyncore.backbones._resnet import ResNet, ResNetConfig
from dyncore.backbones._route import Route, Stage

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "HeadLayers",
    "MobileNetV2",
    "MobileNetV2Config",
    "ResNet",
    "ResNetConfig",
    "Route",
    "Stage",
    "StemLayers",
    "backbone_config",
]
