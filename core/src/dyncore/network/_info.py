"""What a saved model says about itself."""

from dataclasses import dataclass, field
from typing import Any

from dyncore.data import Preprocessing, check_sketch
from dyncore.gating import PartConfig, config_to_dict
from dyncore.network._config import DynamicConfig
from dyncore.network._dial import Dial
from dyncore.parts import method_provider, provider

FORMAT = 1
"""Version of ``config.json``; raised when older readers could misread it."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Where a network comes from and how to use it."""

    method: str | None = None
    """Name of the method whose preset it is; None for a network built from parts by hand."""
    model: str | None = None
    """Name that ``create_model`` knows it by."""
    classes: tuple[str, ...] | None = None
    """Name of each class, in the order of the logits."""
    preprocessing: Preprocessing | None = None
    """What the images went through in training."""
    dataset: str | None = None
    """Name of the data set that it was trained and evaluated on."""
    training_images: str | None = None
    """Hashes of some of the images it was trained on (``dyncore.data.sketch``), by which a cascade
    knows them again; None: not known, e.g. where images are decoded as they are read."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Measured when it was saved, e.g. accuracy and MACs ratio."""
    recipe: dict[str, Any] | None = None
    """The recipe that made it, as JSON types."""
    dial: Dial | None = None
    """What moving its gates' thresholds costs, and where they stand; None: not calibrated."""

    def __post_init__(self) -> None:
        if self.training_images is not None:
            check_sketch(self.training_images)


def describe(config: DynamicConfig, info: ModelInfo) -> dict[str, Any]:
    """The content of ``config.json``, with the versions of the packages of its parts and method."""
    parts: list[PartConfig | None] = [config.backbone, config.router, config.gate]
    providers = [provider(type(part)) for part in parts if part is not None]
    if info.method is not None:
        providers.append(method_provider(info.method))
    return {
        "format": FORMAT,
        "requires": dict(sorted({found for found in providers if found is not None})),
        "info": config_to_dict(info),
        "network": config_to_dict(config),
    }
