"""Networks of which some paths were taken out: what is left is there for every image."""

from collections.abc import Sequence

from torch import nn

from dyncore.gating import BlindRouter, FrozenGate
from dyncore.network._site import Site


def freeze(
    sites: Sequence[Site], kept: tuple[bool, ...], routers: nn.ModuleDict, gates: nn.ModuleDict
) -> None:
    """Take out the paths that are not ``kept``, in the order of the blocks.

    Raises ValueError for another number of paths, and where no path is left without a shortcut.
    """
    paths = sum(len(site.block.paths) for site in sites)
    if len(kept) != paths:
        raise ValueError(
            f"frozen says of {len(kept)} paths whether they are there, but the network has {paths}"
        )
    for site in sites:
        own = kept[site.columns]
        if site.block.downsample is None and not any(own):
            raise ValueError(f"frozen leaves no path in block {site.index}, which has no shortcut")
        if all(own):
            continue
        for n, there in enumerate(own):
            if not there:
                site.block.remove_path(n)
        routers[str(site.index)] = BlindRouter()
        gates[str(site.index)] = FrozenGate(own)
