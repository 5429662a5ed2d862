"""What an evaluation is of, kept in its file."""

import json
from dataclasses import asdict, dataclass

from dyncore.cascade import Cascade
from dyncore.data import Dataset
from dyncore.files import parse_json, printable
from dyncore.network import DynamicNetwork


@dataclass(frozen=True)
class About:
    """Names for people; nothing is computed from them."""

    name: str = ""
    """The model's recipe, else its name; empty: not known."""
    dataset: str = ""
    """The data set's name; empty: not known."""
    classes: tuple[str, ...] = ()
    """Name of each class, in the order of their numbers; empty: not known."""

    @classmethod
    def of(cls, model: DynamicNetwork | Cascade, dataset: Dataset) -> "About":
        """What a model and the data set that it is evaluated on say of themselves."""
        info = model.info
        recipe = (info.recipe or {}).get("name")
        name = recipe if isinstance(recipe, str) else info.model or ""
        return cls(name, dataset.name, dataset.classes)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "About":
        """What :meth:`to_json` wrote. Raises ValueError for anything else."""
        read = parse_json(text.encode())
        if not isinstance(read, dict) or set(read) != {"name", "dataset", "classes"}:
            raise ValueError("its metadata 'about' must have name, dataset and classes")
        classes = read["classes"]
        if not isinstance(classes, list):
            raise ValueError("the classes of its metadata 'about' must be a list")
        names = [read["name"], read["dataset"], *classes]
        if not all(isinstance(name, str) for name in names):
            raise ValueError("what its metadata 'about' holds must be text")
        name, dataset, *classes = map(printable, names)
        return cls(name, dataset, tuple(classes))
