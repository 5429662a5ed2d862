"""What a stranger's text may not do: mean two things, be without end, name other folders."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dyncore
from dyncore.hub import check_folder_name, parse_json, printable
from dyncore.recipes import find_recipe

ROOT = Path(__file__).parents[3]
SOURCES = [
    *Path(dyncore.__file__).parent.rglob("*.py"),
    *(ROOT / "methods").glob("*/src/**/*.py"),
    *(ROOT / "examples").glob("*/src/**/*.py"),
    *(ROOT / "benchmarks").rglob("*.py"),
]
TO_OWN_PROCESSES = "testing/_processes.py"
"""Sends its own objects to its own processes by pickle; no file is read."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_what_json_writes_is_read(value):
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "the key 'a' stands twice"),
        ('{"b": [{"a": 1, "c": 2, "a": 3}]}', "the key 'a' stands twice"),
        ('{"a": NaN}', "NaN is not a finite number"),
        ("[-Infinity]", "-Infinity is not a finite number"),
        ("1e999", "1e999 is not a finite number"),
        ("[" * 33 + "]" * 33, "nested deeper than 32 levels"),
        ("[" * 10**6 + "]" * 10**6, "nested deeper than 32 levels"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested deeper than 32 levels"),
        ("9" * 5000, "4300"),
        ("[1] x", "Extra data"),
        ("\ufeff[1]", "BOM"),
        (" " * (2**24 + 1), "more than 16777216"),
    ],
)
def test_what_has_no_one_meaning_is_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_json(text.encode())
    assert len(str(error.value)) < 200


def test_32_levels_are_read():
    assert parse_json(b"[" * 32 + b"]" * 32)


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


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: "/".join(file.parts[-3:]))
def test_nothing_unpickles(file):
    """Pickles run code: torch.load needs weights_only=True, numpy no allow_pickle."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for call in calls(tree):
        name = ast.unparse(call.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", ast.unparse(call)
        assert keywords.get("allow_pickle", "False") == "False", ast.unparse(call)
        assert name not in {"torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"}
    if file.as_posix().endswith(TO_OWN_PROCESSES):
        return
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not modules & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in modules
            loads = node.module == "torch" and "load" in {alias.name for alias in node.names}
            assert not loads, "name it torch.load, so that this test sees it"
