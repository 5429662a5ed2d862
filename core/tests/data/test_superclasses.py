"""Superclass tables: what they hold, and how ImageNet's are derived."""

import importlib.util
import json
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from dyncore.data import superclasses

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "derive_superclasses.py"
WORDNET = Path("/usr/share/wordnet/data.noun")

# fmt: off
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "cra", "crocodile", "cup", "dinosaur",
)
"""The first 30 names of fine_label in uoft-cs/cifar100, where the crab is misspelt."""

COARSE_OF_FINE = (
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11,
    6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5,
    5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
    10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13,
    16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)
"""The coarse label that goes with each fine label in the data set's own files."""
# fmt: on


def category_names(table: str) -> list[str]:
    """In the order of their numbers."""
    file = files("dyncore.data").joinpath("superclasses", f"{table}.json")
    return list(json.loads(file.read_text(encoding="utf-8"))["categories"])


def test_cifar100_has_the_labels_of_the_data_set():
    assert superclasses("cifar100-superclasses") == COARSE_OF_FINE
    assert set(Counter(COARSE_OF_FINE).values()) == {5}
    names = category_names("cifar100-superclasses")
    assert len(names) == 20
    of = dict(zip(CIFAR100_CLASSES, superclasses("cifar100-superclasses"), strict=False))
    assert names[of["apple"]] == "fruit_and_vegetables"
    assert names[of["cra"]] == "non-insect_invertebrates"
    assert names[of["dinosaur"]] == "reptiles"


def test_cifar10_shows_animals_and_vehicles():
    # As its files number the classes: airplane, automobile, bird, cat, deer, dog, frog, horse, …
    assert superclasses("cifar10-superclasses") == (1, 1, 0, 0, 0, 0, 0, 0, 1, 1)
    assert category_names("cifar10-superclasses") == ["animals", "vehicles"]


def test_imagenet_has_58_balanced_categories():
    sizes = Counter(superclasses("imagenet-58"))
    assert sizes.total() == 1000
    assert set(sizes) == set(range(58)) == set(range(len(category_names("imagenet-58"))))
    assert max(sizes.values()) < 2 * 1000 / 58


@pytest.mark.parametrize(
    ("number", "category", "group"),
    [
        (0, "vertebrate", "animals"),  # tench
        (208, "hunting_dog", "animals"),  # Labrador retriever
        (281, "carnivore", "animals"),  # tabby
        (402, "musical_instrument", "artifacts"),  # acoustic guitar
        (817, "motor_vehicle", "artifacts"),  # sports car
        (954, "whole", "natural objects"),  # banana
        (980, "object", "geological formations"),  # volcano
        (963, "substance", "other"),  # pizza
    ],
)
def test_well_known_classes_are_where_they_belong(number, category, group):
    """Class numbers as everywhere: 281 is the tabby cat."""
    names = category_names("imagenet-58")
    found = names[superclasses("imagenet-58")[number]]
    assert found.startswith(f"{category} (n"), found
    names = category_names("imagenet-groups")
    assert names[superclasses("imagenet-groups")[number]] == group


def test_unknown_superclasses_are_refused():
    known = "cifar10-superclasses, cifar100-superclasses, imagenet-58, imagenet-groups"
    with pytest.raises(ValueError, match=f"unknown superclasses 'cifar'; known are {known}"):
        superclasses("cifar")


@pytest.fixture(scope="module")
def derive():
    if not SCRIPT.is_file():
        pytest.skip("no benchmarks/ beside these tests")
    spec = importlib.util.spec_from_file_location("derive_superclasses", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


HYPERNYMS = {
    1740: (),
    2: (1740,),
    3: (1740,),
    10: (2,),
    11: (2,),
    12: (3, 11),
    **{leaf: (10,) for leaf in range(100, 105)},
    **{leaf: (11,) for leaf in range(110, 112)},
    **{leaf: (12,) for leaf in range(120, 123)},
    130: (3,),
}
"""entity ← {2 ← {10, 11}, 3}; 12 is below both 11 and 3. 5 + 2 + 3 + 1 leaves."""


def noun_file() -> list[str]:
    """In the form of wndb(5WN), with other pointers among the hypernyms."""
    lines = ["  1 This is the license | of WordNet\n"]
    for offset, hypernyms in HYPERNYMS.items():
        pointers = ["~ 00000002 n 0000", *(f"@ {h:08d} n 0000" for h in hypernyms[:1])]
        pointers += [f"@i {h:08d} n 0000" for h in hypernyms[1:]] + ["+ 00000003 v 0101"]
        lines.append(
            f"{offset:08d} 03 n 02 word{offset} 0 also_{offset} 0 {len(pointers):03d} "
            f"{' '.join(pointers)} | a gloss | with @ 00000010 n in it\n"
        )
    return lines


def test_the_category_with_most_classes_is_split(derive):
    ten, eleven, twelve = range(100, 105), range(110, 112), range(120, 123)
    leaves = [*ten, *eleven, *twelve, 130]
    hierarchy = derive.Hierarchy.read(noun_file(), leaves)
    steps = {
        1: {1740: leaves},
        2: {2: [*ten, *eleven, *twelve], 1740: [130]},  # 2 has 10 of the 11 classes, 3 has 4
        3: {10: ten, 2: [*eleven, *twelve], 1740: [130]},  # 10 and 11 have 5 each
        # Of two categories of 5, 2 has the smaller offset; 11 has all of it and takes its place.
        # Now 10 has the smaller offset, and of its hyponyms of one class each the first leaves.
        4: {100: [100], 10: ten[1:], 11: [*eleven, *twelve], 1740: [130]},
        5: {100: [100], 10: ten[1:], 11: eleven, 12: twelve, 1740: [130]},
    }
    for count, expected in steps.items():
        found = derive.balanced(hierarchy, count)
        assert found == {synset: frozenset(members) for synset, members in expected.items()}


@pytest.mark.skipif(not WORDNET.is_file(), reason="Debian's wordnet-base is not installed")
def test_the_files_are_what_the_script_derives(derive, capsys, tmp_path):
    timm = importlib.util.find_spec("timm")
    if timm is None:
        pytest.skip("timm, whose wheel has the ids of the classes, is not installed")
    ids = Path(timm.origin).parent / "data" / "_info" / "imagenet_synsets.txt"
    options = {"data_noun": WORDNET, "imagenet_synsets": ids}
    assert derive.main(derive.Options(**options, check=True)) == 0
    assert derive.main(derive.Options(**options, check=True, output=tmp_path)) == 1
    assert "is not what this derives from" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
