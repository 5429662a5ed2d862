"""What the checks run on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dyncore.backbones import BackboneConfig, MobileNetV2Config, ResNetConfig
from dyncore.network import DynamicConfig, Subnet
from dyncore.objectives import CrossEntropyConfig, ObjectiveConfig
from dyncore.recipes import Phase, Recipe


def _cross_entropy() -> dict[str, ObjectiveConfig]:
    return {"classification": CrossEntropyConfig()}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A set-up to check, small enough that a check takes about a second.

    Its parts travel to other processes by pickle: their classes must be importable there.
    """

    name: str
    """What ``str`` shows, e.g. as the test's id."""
    network: DynamicConfig
    """The network."""
    objective: Mapping[str, ObjectiveConfig] = field(default_factory=_cross_entropy)
    """The objective's parts by key, as in a recipe."""
    phases: tuple[Phase, ...] = (Phase(name="train", epochs=1.0),)
    """What trains, as in a recipe; each phase is checked on its own."""
    image_size: int = 16
    """Height and width of the images, in pixels."""

    @classmethod
    def of(cls, recipe: Recipe) -> "Case":
        """The recipe on a backbone of a few narrow blocks; all else stays."""
        return cls(
            name=recipe.name,
            network=_tiny_network(recipe.network),
            objective=recipe.objective,
            phases=recipe.phases,
        )

    def __str__(self) -> str:
        return self.name


def _tiny_network(network: DynamicConfig) -> DynamicConfig:
    backbone = _tiny(network.backbone)
    nested = network.nested and (Subnet(blocks=backbone.first_blocks(0.5)),)
    return replace(network, backbone=backbone, nested=nested)


def _tiny(backbone: BackboneConfig) -> BackboneConfig:
    """The same kind of backbone, small; one that the core does not know stays as it is."""
    if isinstance(backbone, ResNetConfig):
        return replace(backbone, depths=(2, 2), widths=(4, 8))
    if isinstance(backbone, MobileNetV2Config):
        return replace(backbone, width=0.1)
    return backbone
