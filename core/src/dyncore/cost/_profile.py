"""What a network takes on one machine: a cost table of times, kept in a file."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from dyncore.cost._table import CostTable
from dyncore.files import parse_json, replacing


@dataclass(frozen=True)
class Profile:
    """Times per image, in nanoseconds, at one batch size on one device."""

    device: str
    threads: int
    batch: int
    table: CostTable
    """A cost table whose unit is ns: ``table.macs(path)`` are nanoseconds of each image."""
    modules: tuple[str, ...]
    """What could not be folded and runs as a module, e.g. ``stem`` or ``block 3 path 0``."""
    precision: str = "fp32"
    """What the engine computes in: bf16, or the model's type."""

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the profile as JSON, e.g. for a latency budget in training."""
        with replacing(Path(file)) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        where = f"{self.device}, {self.threads} threads, batch {self.batch}, {self.precision}"
        modules = f"\nrun as modules: {', '.join(self.modules)}" if self.modules else ""
        return f"{self.table}\n{where}{modules}"


def read_profile(file: str | os.PathLike[str]) -> Profile:
    """What :meth:`Profile.save` wrote. Raises ValueError for a file that it did not write."""
    try:
        saved = parse_json(Path(file).read_bytes())
        table = CostTable.from_dict(saved.pop("table"))
        return Profile(table=table, modules=tuple(saved.pop("modules")), **saved)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{os.fspath(file)} is no profile of an engine ({error!r}): write one with "
            "'dyn bench MODEL --blocks --output FILE'"
        ) from error
