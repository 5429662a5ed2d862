"""The linear layer that routers and gates are made of."""

from typing import Literal, TypeAlias

from torch import nn

InitialWeights: TypeAlias = Literal["torch", "he"]
"""How a layer's weights start: as torch makes them, or He-normal, which keeps the input's scale."""


def linear_layer(
    in_features: int, out_features: int, *, bias: bool = True, initial_weights: InitialWeights
) -> nn.Linear:
    """A linear layer; biases start as torch makes them.

    No paper prints how routers and gates start. torch's default shrinks the scale of its input by
    about 2.4 per layer: logits then start below the gate's noise. RDI-Net's and SP-Net's public
    codes draw He-normal weights on CIFAR.
    """
    layer = nn.Linear(in_features, out_features, bias=bias)
    if initial_weights == "he" and not layer.weight.is_meta:
        # On the meta device torch would import its compiler to draw nothing.
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer
