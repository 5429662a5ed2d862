"""Which category each class of a data set belongs to."""

import functools
import json
from importlib.resources import files
from typing import Any

TABLES = ("cifar10-superclasses", "cifar100-superclasses", "imagenet-58", "imagenet-groups")
"""Files in ``superclasses/``; each says where it comes from."""


def superclasses(name: str) -> tuple[int, ...]:
    """The category of every class, in the order of the class numbers.

    - ``cifar10-superclasses``: animals and vehicles;
    - ``cifar100-superclasses``: the 20 superclasses of CIFAR-100, as its ``coarse_label`` counts;
    - ``imagenet-58``: 58 categories of ImageNet's 1000 classes, balanced by number of classes
      (CDB section 3.2.2, DMNN section 3.2);
    - ``imagenet-groups``: animals, artifacts, natural objects, geological formations (CDB
      Figure 6, DMNN Figure 7), and the rest.

    Raises ValueError, listing these, for another name.
    """
    categories = list(_categories(name).values())
    category = {member: number for number, members in enumerate(categories) for member in members}
    # All data sets number their classes in the alphabetical order of the names used here.
    return tuple(category[member] for member in sorted(category))


def superclass_names(name: str) -> tuple[str, ...]:
    """The names of the categories, in the order of their numbers; ``name`` as in `superclasses`."""
    return tuple(_categories(name))


@functools.cache
def _categories(name: str) -> dict[str, list[str]]:
    if name not in TABLES:
        raise ValueError(f"unknown superclasses {name!r}; known are {', '.join(TABLES)}")
    file = files("dyncore.data").joinpath("superclasses", f"{name}.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return dict(content["categories"])
