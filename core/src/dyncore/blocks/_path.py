"""A residual path as a chain of convolution, norm and activation."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dyncore.blocks._activation import Activation, identity
from dyncore.gating import is_plain

Norm: TypeAlias = nn.BatchNorm2d | nn.SyncBatchNorm


class Layer(NamedTuple):
    """One link of a path: ``activation(norm(conv(x)))``."""

    conv: nn.Conv2d
    norm: Norm
    activation: Activation


@dataclass(frozen=True)
class Path:
    """A chain of layers, named inside the module that owns their parameters.

    It holds names rather than modules, so it follows when a module is replaced (SyncBatchNorm,
    quantisation) and adds no prefix to the parameters' names.
    """

    owner: nn.Module
    names: tuple[tuple[str, str, str | None], ...]
    """(convolution, norm, activation) of each layer, None where no activation follows; none: the
    path was removed."""
    whole: str | None = None
    """Name of a module that is all of its layers, if there is one: it is called in their place."""

    @property
    def exists(self) -> bool:
        """Whether it was not removed."""
        return bool(self.names)

    @property
    def in_channels(self) -> int:
        """Channels of its input."""
        return self.layers[0].conv.in_channels

    @property
    def gated_channels(self) -> int:
        """Output channels of the first convolution: what channel gating decides; 0: nothing."""
        return self.layers[0].conv.out_channels

    def removed(self) -> "Path":
        """In the place of the path, whose modules leave their owner."""
        known = {name.partition(".")[0] for names in self.names for name in names if name}
        for name in known:
            delattr(self.owner, name)
        return Path(self.owner, ())

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All that it computes; none: it does not tell, and is called as a whole."""
        module = self.owner.get_submodule
        return tuple(
            Layer(module(conv), module(norm), identity if act is None else module(act))  # type: ignore[arg-type]
            for conv, norm, act in self.names
        )

    @property
    def is_chain(self) -> bool:
        """Whether calling it is calling its layers: nothing listens at what contains them."""
        if self.whole is None:
            return True
        parents = {name.rpartition(".")[0] for names in self.names for name in names if name}
        return all(is_plain(self.owner.get_submodule(name), nn.Sequential) for name in parents)

    def __call__(
        self,
        x: Float[Tensor, "batch channel height width"],
        channel_weight: Float[Tensor, "batch gated"] | None = None,
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        """The residual; ``channel_weight`` scales the first convolution's channels.

        The score multiplies after the norm and before the activation (LC-Net Eq. 4): before the
        norm a zeroed channel would become the norm's shift.
        """
        if self.whole is not None and channel_weight is None:
            return self.owner.get_submodule(self.whole)(x)
        for conv, norm, activation in self.layers:
            x = norm(conv(x))
            if channel_weight is not None:
                x, channel_weight = x * channel_weight.to(x.dtype)[..., None, None], None
            x = activation(x)
        return x

    def run_channels(
        self,
        x: Float[Tensor, "1 channel height width"],
        on: Bool[Tensor, "gated"],
        weight: Float[Tensor, "gated"],
    ) -> Float[Tensor, "1 out_channel out_height out_width"]:
        """The residual of one image in evaluation, computing only its chosen channels.

        Neither the unchosen output channels of the first convolution nor the same input channels
        of the second are touched. Layers that cannot be cut run whole, as modules.
        """
        first, second, *rest = self.layers
        if not (_divides(first.conv) and _divides(second.conv) and _divides_norm(first.norm)):
            return self(x, (weight * on)[None])
        keep = on.nonzero().squeeze(1)
        if len(keep):
            x = _convolve(first.conv, x, first.conv.weight[keep])
            x = _normalise(first.norm, x, keep) * weight[keep].to(x.dtype)[:, None, None]
            x = _convolve(second.conv, first.activation(x), second.conv.weight[:, keep])
        else:
            height, width = self.spatial((x.shape[-2], x.shape[-1]), layers=2)
            x = x.new_zeros(1, second.conv.out_channels, height, width)
        x = second.activation(second.norm(x))
        for conv, norm, activation in rest:
            x = activation(norm(conv(x)))
        return x

    def spatial(self, size: tuple[int, int], *, layers: int | None = None) -> tuple[int, int]:
        """Height and width after the first ``layers`` layers (None: all) for an input ``size``."""
        height, width = size
        for conv, _, _ in self.layers[:layers]:
            height, width = (
                (side + 2 * conv.padding[i] - conv.dilation[i] * (conv.kernel_size[i] - 1) - 1)  # type: ignore[operator]
                // conv.stride[i]
                + 1
                for i, side in enumerate((height, width))
            )
        return height, width


def _divides(conv: nn.Module) -> bool:
    """Whether some of its channels are some of its weights, and those are all there is."""
    return (
        is_plain(conv, nn.Conv2d)
        and conv.bias is None
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


def _divides_norm(norm: nn.Module) -> bool:
    return (
        is_plain(norm, nn.BatchNorm2d, nn.SyncBatchNorm)
        and norm.affine
        and norm.running_mean is not None
    )


def _convolve(conv: nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation)


def _normalise(norm: Norm, x: Tensor, keep: Tensor) -> Tensor:
    return F.batch_norm(
        x,
        norm.running_mean[keep],  # type: ignore[index]
        norm.running_var[keep],  # type: ignore[index]
        norm.weight[keep],
        norm.bias[keep],
        training=False,
        eps=norm.eps,
    )
