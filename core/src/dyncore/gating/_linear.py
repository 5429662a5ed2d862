"""The linear layer that routers and gates are made of."""

from torch import nn


def he_linear(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer that keeps the scale of its input: He-normal weights, zero bias.

    torch's default shrinks it by about 2.4 per layer. Logits then start far below the gate's
    noise, and for long no decision depends on the image. A zero bias is an on-bias of 0.
    """
    layer = nn.Linear(in_features, out_features, bias=bias)
    if not layer.weight.is_meta:  # torch would import its compiler to draw nothing
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
