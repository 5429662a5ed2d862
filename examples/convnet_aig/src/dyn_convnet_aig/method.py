"""The method as a choice of parts."""

from dyn_convnet_aig.router import BottleneckRouterConfig
from dyncore.gating import StraightThroughGateConfig
from dyncore.registry import Method

METHOD = Method(
    name="aig",
    router=BottleneckRouterConfig(),
    gate=StraightThroughGateConfig(noise="gumbel"),
    backbones=("resnet20-cifar", "resnet110-cifar", "resnet50", "resnet101"),
)
