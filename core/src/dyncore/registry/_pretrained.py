"""Trained models by the name of what they are: those that come with the sources, and the Hub's."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dyncore.hub import CONFIG_FILE, HubError, models_on_hub

logger = logging.getLogger("dyncore")

BOX = Path(__file__).parents[4] / "models"
"""Beside the packages in a checkout; an installed wheel has none."""


@dataclass(frozen=True)
class Boxed:
    """A trained model in the box."""

    folder: Path
    model: str
    dataset: str | None
    accuracy: float

    def __str__(self) -> str:
        return f"{self.model} ({self.dataset}, accuracy {self.accuracy:.4f}): {self.folder}"


def boxed() -> list[Boxed]:
    """All of them, networks and members of cascades, the best first."""
    found = list(_read(BOX)) if BOX.is_dir() else []
    return sorted(found, key=lambda each: -each.accuracy)


def find_pretrained(name: str) -> str:
    """Where a trained model of this name is: the best in the box, else the most liked on the Hub.

    Raises ValueError, listing what there is, where there is none.
    """
    known = boxed()
    mine = [each for each in known if each.model == name]
    if mine:
        logger.info("taking %s", mine[0])
        return str(mine[0].folder)
    listed = "\n  ".join(map(str, known)) or "nothing"
    try:
        online = models_on_hub(name)
    except HubError as error:
        said = f"the Hub cannot be asked: {error}"
    else:
        if online:
            logger.info("taking %s from the Hub", online[0])
            return online[0]
        said = f"the Hub has none that was pushed under this name ({name})"
    raise ValueError(
        f"there is no pretrained {name}; {said}. In the box:\n  {listed}\ndyncore.from_pretrained "
        "loads any folder, or org/name on the Hub; weights='timm:NAME' starts from a static network"
    )


def _read(box: Path) -> Iterator[Boxed]:
    for file in sorted(box.rglob(CONFIG_FILE)):
        info = json.loads(file.read_text(encoding="utf-8")).get("info", {})
        if isinstance(info.get("model"), str):
            accuracy = info.get("metrics", {}).get("accuracy", 0.0)
            yield Boxed(file.parent, info["model"], info.get("dataset"), accuracy)
