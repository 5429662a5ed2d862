"""Whether a forced path is one of a network, for its images."""

from collections.abc import Sequence

from dyncore.gating import ExecutionPath, FrozenGate
from dyncore.network._site import Site


def check_forced(path: ExecutionPath, sites: Sequence[Site], images: int) -> None:
    """Raises ValueError for a path that does not fit the network's sites or so many images."""
    wanted = tuple(len(site.block.paths) for site in sites)
    if path.paths_per_block != wanted:
        raise ValueError(
            f"path has {path.paths_per_block} paths per block, but the network has {wanted}"
        )
    for decision, site in zip(path, sites, strict=True):
        if len(decision.on) != images:
            raise ValueError(f"path decides for {len(decision.on)} images, but there are {images}")
        chosen = decision.channels
        if chosen is not None and chosen.on.shape[1] != site.channels:
            raise ValueError(
                f"path has {chosen.on.shape[1]} gated channels in a block, but the network has "
                f"{site.channels}"
            )
        if isinstance(site.gate, FrozenGate) and not site.gate.agrees(decision.on):
            raise ValueError(
                f"path decides otherwise than {site.gate.fixed} about block {site.index}, which is "
                "how the network was frozen"
            )
