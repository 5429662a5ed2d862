"""How a block is split into N paths of about the original size."""

from dataclasses import dataclass
from math import sqrt

PRINTED_BOTTLENECK = {2: 38 / 64, 3: 30 / 64, 4: 24 / 64}
"""Path width over block width: CDB Table 1 for N = 2, 3; 24 for N = 4 gives the printed size."""


@dataclass(frozen=True, kw_only=True)
class Granularity:
    """What is gated: the whole block, N paths, or the block and its channels."""

    paths: int = 1
    """Number N of parallel paths of a block."""
    channels: bool = False
    """Also gate each output channel of a block's first convolution (LC-Net)."""

    def __post_init__(self) -> None:
        if self.paths < 1:
            raise ValueError(f"granularity.paths must be at least 1, not {self.paths}")
        if self.channels and self.paths > 1:
            raise ValueError(
                f"granularity.channels needs granularity.paths = 1, not {self.paths}: "
                "channels are gated inside a whole block"
            )


def bottleneck_width(in_channels: int, width: int, out_channels: int, paths: int) -> int:
    """Width c of each of N bottleneck paths (1×1 to c, 3×3, 1×1 from c).

    For N = 2, 3, 4 the printed ratio; for other N the width whose N paths together have about
    the parameters of the original, ``N (C_in c + 9 c² + c C_out) = C_in C + 9 C² + C C_out``
    (DMNN Eq. 1–3). Widths are in channels.
    """
    if paths == 1:
        return width
    if paths in PRINTED_BOTTLENECK:
        return max(1, round(width * PRINTED_BOTTLENECK[paths]))
    ends = in_channels + out_channels
    original = ends * width + 9 * width * width
    return max(1, round((sqrt(ends * ends + 36 * original / paths) - ends) / 18))


def even_width(width: int, paths: int) -> int:
    """Width of each of N paths whose size is linear in it: basic blocks, MobileNetV2 expansions.

    N paths of 1/N the width have the parameters of the original.
    """
    return max(1, round(width / paths))
