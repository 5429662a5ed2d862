"""What a stranger's name may not do: lead to other folders, command the terminal."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.files import check_folder_name, printable
from dyncore.recipes import find_recipe


@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".", "a/b", "/abs", "a\\b", "C:x", "a\0b", "", " a", "a b", ".hidden", "a.",
     "-a", "nul", "NUL.txt", "com1", "x" * 201, "a\n", "ü", "~"],
)  # fmt: skip
def test_what_cannot_name_a_folder_is_refused(name):
    with pytest.raises(
        ValueError, match=r"^recipe name .* cannot name a folder: use up to 200 let"
    ):
        check_folder_name("recipe name", name)


@given(st.text())
def test_a_name_that_passes_stays_in_its_folder(name):
    try:
        check_folder_name("name", name)
    except ValueError:
        return
    path = Path("/runs") / name
    assert path.resolve().parent == Path("/runs")
    assert len(path.parts) == 3


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/elsewhere", "a/../../b", "a\0b", ""])
def test_a_recipe_cannot_name_another_folder(name):
    with pytest.raises(ValueError, match=r"^recipe name .* cannot name a folder"):
        replace(find_recipe("static-resnet20-digits"), name=name)


def test_a_strangers_name_cannot_command_the_terminal():
    assert printable("backbone.fc.weight") == "backbone.fc.weight"
    assert printable("\x1b[2Jgone") == r"'\x1b[2Jgone'"
    assert len(printable("x" * 10**6)) == 100
