"""Files of strangers run no code: nothing in our sources unpickles."""

import ast
from pathlib import Path

import pytest

import dyncore

ROOT = Path(__file__).parents[2]
SOURCES = [
    *Path(dyncore.__file__).parent.rglob("*.py"),
    *(ROOT / "methods").glob("*/src/**/*.py"),
    *(ROOT / "examples").glob("*/src/**/*.py"),
    *(ROOT / "benchmarks").rglob("*.py"),
]
TO_OWN_PROCESSES = "testing/_processes.py"
"""Sends its own objects to its own processes by pickle; no file is read."""


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
