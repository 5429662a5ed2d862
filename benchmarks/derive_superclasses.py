"""ImageNet's 58 balanced categories and the four groups of the figures, from WordNet 3.0.

``python benchmarks/derive_superclasses.py DATA_NOUN IMAGENET_SYNSETS [--output FOLDER] [--check]``
writes ``imagenet-58.json`` and ``imagenet-groups.json``; with ``--check`` it writes nothing and
exits with status 1 unless they are there, byte for byte. DATA_NOUN is
``/usr/share/wordnet/data.noun`` of the Debian package wordnet-base; IMAGENET_SYNSETS, the 1000 ids
line by line, is ``timm/data/_info/imagenet_synsets.txt`` of the timm wheel. An id is the offset of
its synset in DATA_NOUN.

The papers say "58 big categories with the help of the hierarchical structure of ImageNet" and that
58 "is to balance the number of samples" (CDB section 3.2.2), and no more. Here:

1. One category, the root synset *entity*, holds all 1000 classes.
2. The category that holds most classes is split (of equals, the one of the smaller offset). Of the
   direct hyponyms of its synset, the one with most of its classes below it (of equals, the
   smaller offset) becomes a category with these classes; the others stay behind. Where none stays
   behind, the hyponym takes its parent's place.
3. That is repeated until there are 58.

Classes stand for images: there are 732 to 1300 training images of each. A class with several
hypernyms is in one category at a time, so it goes with whichever is split off first.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

CATEGORIES = 58
ENTITY = 1740
GROUPS = {
    "animals": 15388,
    "artifacts": 21939,
    "natural objects": 19128,
    "geological formations": 9287968,
}
"""The groups of CDB Figure 6 and DMNN Figure 7: the synsets of these names."""

SOURCE = (
    "Derived from WordNet 3.0, Copyright 2006 by Princeton University (license: "
    "WORDNET-LICENSE.txt), by benchmarks/derive_superclasses.py"
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Derive ImageNet's categories from WordNet."""

    data_noun: Annotated[Path, tyro.conf.Positional]
    """WordNet 3.0's noun file."""
    imagenet_synsets: Annotated[Path, tyro.conf.Positional]
    """The ids of the 1000 classes, one per line."""
    output: Path = Path(__file__).parents[1] / "core/src/dyncore/data/superclasses"
    """Folder for the two files."""
    check: bool = False
    """Compare with the files that are there, and write nothing."""


@dataclass(frozen=True)
class Hierarchy:
    """The synsets of a noun file that have classes at or below them, by offset."""

    name: dict[int, str]
    """First word of each synset."""
    classes: dict[int, frozenset[int]]
    """The classes at or below it."""
    hyponyms: dict[int, list[int]]
    """Its direct hyponyms, instances included, among these synsets."""

    @classmethod
    def read(cls, lines: Iterable[str], classes: Iterable[int]) -> "Hierarchy":
        """Read the lines of a noun file (wndb(5WN)); KeyError for a class that is no synset."""
        names: dict[int, str] = {}
        parents: dict[int, list[int]] = {}
        for line in lines:
            if line.startswith("  "):  # the license
                continue
            fields = line.partition(" | ")[0].split()
            offset, words = int(fields[0]), int(fields[3], 16)
            names[offset] = fields[4]
            pointers = fields[5 + 2 * words :]
            parents[offset] = [
                int(target)
                for symbol, target in zip(pointers[::4], pointers[1::4], strict=False)
                if symbol in ("@", "@i")
            ]
        below: dict[int, set[int]] = {}
        for leaf in classes:
            todo = [leaf]
            while todo:
                offset = todo.pop()
                below.setdefault(offset, set()).add(leaf)
                todo += parents[offset]
        return cls(
            {offset: names[offset] for offset in below},
            {offset: frozenset(members) for offset, members in below.items()},
            {offset: [h for h in sorted(below) if offset in parents[h]] for offset in below},
        )

    def label(self, offset: int) -> str:
        """Name and id of a synset."""
        return f"{self.name[offset]} (n{offset:08d})"


def balanced(hierarchy: Hierarchy, count: int) -> dict[int, frozenset[int]]:
    """Split the root, as the module says, into ``count`` categories: classes by synset."""
    categories = {ENTITY: hierarchy.classes[ENTITY]}
    while len(categories) < count:
        largest = min(categories, key=lambda synset: (-len(categories[synset]), synset))
        members = categories.pop(largest)
        parts = {h: hierarchy.classes[h] & members for h in hierarchy.hyponyms[largest]}
        hyponym = min(parts, key=lambda synset: (-len(parts[synset]), synset))
        if hyponym in categories:
            raise ValueError(f"{hierarchy.label(hyponym)} was split off before")
        categories[hyponym] = parts[hyponym]
        if rest := members - parts[hyponym]:
            categories[largest] = rest
    return categories


def groups(hierarchy: Hierarchy) -> dict[str, frozenset[int]]:
    """The classes of each group, and the rest; a class of two groups goes to the smaller one."""
    found: dict[str, frozenset[int]] = {}
    taken: frozenset[int] = frozenset()
    for name in sorted(GROUPS, key=lambda name: len(hierarchy.classes[GROUPS[name]])):
        found[name] = hierarchy.classes[GROUPS[name]] - taken
        taken |= found[name]
    return {name: found[name] for name in GROUPS} | {"other": hierarchy.classes[ENTITY] - taken}


def as_json(categories: dict[str, frozenset[int]]) -> str:
    """The file's text: a line per category, its classes in ascending order."""
    ids = {name: [f"n{offset:08d}" for offset in sorted(c)] for name, c in categories.items()}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(c)}" for name, c in ids.items())
    return f'{{\n  "source": {json.dumps(SOURCE)},\n  "categories": {{\n{lines}\n  }}\n}}\n'


def main(options: Options) -> int:
    """Write or check both files; the exit status."""
    ids = [int(line[1:]) for line in options.imagenet_synsets.read_text("utf-8").split()]
    with options.data_noun.open(encoding="utf-8") as lines:
        hierarchy = Hierarchy.read(lines, ids)
    split = balanced(hierarchy, CATEGORIES)
    texts = {
        "imagenet-58.json": as_json({hierarchy.label(o): split[o] for o in sorted(split)}),
        "imagenet-groups.json": as_json(groups(hierarchy)),
    }
    for name, text in texts.items():
        file = options.output / name
        if not options.check:
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            print(f"{file} is not what this derives from {options.data_noun}", file=sys.stderr)
            return 1
    sizes = sorted(len(members) for members in split.values())
    print(f"{len(sizes)} categories of {sizes[0]} to {sizes[-1]} classes: {sizes}")
    print({name: len(members) for name, members in groups(hierarchy).items()})
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
