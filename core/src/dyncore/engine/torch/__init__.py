"""The plan in torch's public operators: for any device, without a compiler."""

from dyncore.engine.torch._backend import TorchBackend
from dyncore.engine.torch._network import TorchBlock, TorchNetwork, run_channels

__all__ = ["TorchBackend", "TorchBlock", "TorchNetwork", "run_channels"]
