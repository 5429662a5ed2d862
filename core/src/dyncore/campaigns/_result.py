"""What is kept of a finished run: one JSON file, from which pages are made."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dyncore.files import parse_json, replacing


@dataclass(frozen=True, kw_only=True)
class Result:
    """One finished run. All of it is JSON types."""

    campaign: str
    run: str
    """Name of the entry."""
    seed: int
    recipe_name: str
    options: list[str]
    """Words of the command line that changed the recipe and the run."""
    init: str | None
    """Name of the model or of the run that it started from."""
    settings: dict[str, Any]
    """The recipe as it ran and the options that change a result: :class:`Settings` as JSON."""
    versions: dict[str, str]
    """Of Python and of the packages that made it."""
    commit: str | None
    """Git commit of dyncore's sources, ending in '+' where they differ from it; None: no git."""
    machine: dict[str, Any]
    """Processor, device, threads."""
    finished: str
    """The day."""
    seconds: float
    """Of wall time over all sittings, evaluations included; what a kill lost is left out."""
    sittings: int
    curve: list[dict[str, float]]
    """Metrics of the test split, with ``epoch``, at each evaluation."""
    metrics: dict[str, float]
    """Of the final model; ``shuffled_accuracy`` is that on other images' paths."""
    paths: dict[str, list[Any]]
    """For each path of the network: its ``block``, whether it is ``gated``, its ``rate`` and its
    ``macs`` where it runs."""
    macs: dict[str, float] = field(default_factory=dict)
    """``mean`` over the images, ``static`` for the plain backbone, ``always`` for what every image
    pays, ``routers`` among it."""

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "Result":
        """Raises ValueError for a file that is no result."""
        try:
            return cls(**parse_json(file.read_bytes()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file} is no result of a run: {error}; delete it") from error
