"""A method: a named preset of parts."""

from dataclasses import dataclass

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Combine, Granularity
from dyncore.gating import GateConfig, RouterConfig
from dyncore.network import DynamicConfig, Subnet


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a method package registers under ``dyncore.methods``."""

    name: str
    """The name in front of its models' names."""
    router: RouterConfig | None = None
    """What looks at a block's input; None together with ``gate``: nothing is gated."""
    gate: GateConfig | None = None
    """What decides."""
    channels: bool = False
    """Channels are gated, too."""
    combine: Combine = "additive"
    """How decision and block meet where a block has one path; several always add up."""
    nested: tuple[float, ...] = ()
    """Smaller networks inside, by the share of the blocks that each of them keeps, ascending."""
    one_path: bool = False
    """Blocks of more than one path are refused: they would be another method."""
    backbones: tuple[str, ...]
    """The backbones that ``list_models`` shows; any other can be asked for by name."""
    paths: tuple[int, ...] = (1,)
    """The numbers of paths that ``list_models`` shows; 1 has no ``-nN`` in the name."""

    def configure(self, backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
        """The network of N = ``paths`` paths per block.

        Raises ValueError for more than one path if the method has ``one_path`` only, and for a
        backbone that has no smaller forms if it nests them.
        """
        if self.one_path and paths > 1:
            raise ValueError(
                f"{self.name} models have one path per block, not {paths}: drop '-n{paths}'"
            )
        return DynamicConfig(
            backbone=backbone,
            num_classes=num_classes,
            granularity=Granularity(paths=paths, channels=self.channels),
            router=self.router,
            gate=self.gate,
            combine=self.combine if paths == 1 else "additive",
            nested=tuple(Subnet(blocks=backbone.first_blocks(share)) for share in self.nested),
        )
