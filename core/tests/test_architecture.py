"""The rooms' arrows (docs/architecture.md), read from the imports of every source file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dyncore

CORE = Path(dyncore.__file__).parent
ROOT = Path(__file__).parents[2]

ROOMS = {
    room: level
    for level, rooms in enumerate(
        (
            ("gating",),
            ("blocks",),
            ("backbones",),
            ("parts",),
            ("network",),
            ("weights",),
            ("registry",),
            ("adopt",),
            ("cost",),
            ("calibration",),
            ("objectives",),
            ("cascade",),
            ("engine", "kernels", "recipes"),
            ("training",),
            ("loop",),
            ("campaigns", "demo", "export", "report"),
            ("bench",),
            ("cli", "testing"),
        )
    )
    for room in rooms
}
"""A room may import those of a lower level."""
COMPILED = {"engine", "kernels"}
"""The rooms that may import ``native``: all others state what they do in torch."""
LEAVES = {"files", "hub", "data", "native"}
"""They import no room, but for ``files``; every room but ``gating`` may import them."""


EXPORTED = set(dyncore.__all__) - {*ROOMS, *LEAVES}
LAZY = "__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)"
"""How dyncore itself, and no room, exports what its stub names."""


def imports(source: str, package: str) -> Iterator[tuple[str, str | None]]:
    """(module, name) of every import, wherever it stands; name is None for ``import module``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: -node.level + 1 or None] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            yield from ((module, alias.name) for alias in node.names)


def public_names(room: str) -> set[str]:
    """The ``__all__`` of a room."""
    tree = ast.parse((CORE / room / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def may_import(room: str, other: str) -> bool:
    if room in LEAVES:
        return other == "files"
    if other == "native":
        return room in COMPILED
    if other in LEAVES:
        return room != "gating"
    if room == "methods":
        return other in ROOMS
    return room in ROOMS and other in ROOMS and ROOMS[other] < ROOMS[room]


def violations(source: str, home: str) -> list[str]:
    """What is wrong with the imports of a module of ``home``.

    ``home`` is a room (``dyncore.cost``) or a method package (``dyn_rdinet``).
    """
    top, _, room = home.partition(".")
    wrong = []
    for module, name in imports(source, home):
        package, *inner = module.split(".")
        if package.startswith("dyn_") and package != top:
            wrong.append(f"{home} imports the method package {package}")
        if package != "dyncore" or ".".join([package, *inner[:1]]) == home:
            continue
        if not inner:
            wrong += _from_the_top(home, name)
            continue
        if top == "dyncore" and not may_import(room, inner[0]):
            wrong.append(f"{home} imports {module}")
        if len(inner) > 1:
            wrong.append(f"{home} imports {module}: its room exports what is public")
        elif name is not None and name not in public_names(inner[0]):
            wrong.append(f"{home} imports {name}, which {module} does not export")
    return wrong


def _from_the_top(home: str, name: str | None) -> list[str]:
    """``import dyncore`` and ``from dyncore import name``: for those who stand outside of it."""
    if home.startswith("dyncore."):
        return [f"{home} imports dyncore itself: name the room"]
    if name is not None and name not in EXPORTED:
        return [f"{home} imports {name}, which dyncore does not export"]
    return []


def modules(folder: Path, package: str, depth: int) -> Iterator[tuple[str, Path]]:
    """(home, file) of every source file; the home is ``depth`` folders deep."""
    for file in sorted(folder.rglob("*.py")):
        inside = file.relative_to(folder).with_suffix("").parts
        if len(inside) > depth:  # the package's own __init__.py belongs to no room
            yield ".".join((package, *inside[:depth])), file


CORE_FILES = list(modules(CORE, "dyncore", depth=1))
METHOD_FILES = [
    found
    for folder in ("methods", "examples")
    for package in sorted(ROOT.glob(f"{folder}/*/src/dyn_*"))
    for found in modules(package, package.name, depth=0)
] + [(f"dyn_{script.parent.name}", script) for script in sorted(ROOT.glob("methods/*/train.py"))]


@pytest.mark.parametrize(
    ("home", "file"), CORE_FILES, ids=[str(file.relative_to(CORE)) for _, file in CORE_FILES]
)
def test_rooms_import_only_what_lies_below(home, file):
    assert violations(file.read_text(encoding="utf-8"), home) == []


def test_every_folder_is_a_room():
    rooms = {home.partition(".")[2] for home, _ in CORE_FILES}
    assert rooms <= {*ROOMS, *LEAVES, "methods"}
    assert {"gating", "network", "recipes", "training", "testing", "hub", "methods"} <= rooms


@pytest.mark.skipif(not METHOD_FILES, reason="no methods/*/src beside these tests")
def test_methods_import_only_public_names_of_the_core():
    found = {
        str(file.relative_to(ROOT)): violations(file.read_text(encoding="utf-8"), home)
        for home, file in METHOD_FILES
    }
    assert {file: wrong for file, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "file",
    sorted([CORE / "__init__.py", *CORE.glob("*/__init__.py")]),
    ids=lambda file: str(file.relative_to(CORE.parent)),
)
def test_packages_only_re_export(file):
    """Apart from the version, an ``__init__.py`` holds a docstring, imports and ``__all__``.

    dyncore's own has ``LAZY`` in place of ``__all__``.
    """
    docstring, *rest = ast.parse(file.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    for node in rest:
        if ast.dump(node) == ast.dump(ast.parse(LAZY).body[0]):
            assert file == CORE / "__init__.py"
        elif isinstance(node, ast.Assign):
            assert ast.unparse(node.targets[0]) in {"__all__", "__version__"}
        else:
            assert isinstance(node, (ast.Import, ast.ImportFrom)), ast.unparse(node)


def test_the_stub_names_what_rooms_export():
    """What type checkers read is what ``lazy_loader`` finds: names and rooms, as themselves."""
    docstring, *rest, version = ast.parse((CORE / "__init__.pyi").read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(version) == "__version__: str"
    named = set()
    for node in rest:
        assert isinstance(node, ast.ImportFrom), ast.unparse(node)
        assert node.level == 1
        for alias in node.names:
            assert alias.name == alias.asname
            assert alias.name in (public_names(node.module) if node.module else {*ROOMS, *LEAVES})
            named.add(alias.name)
    assert named == set(dyncore.__all__)


@pytest.mark.parametrize(
    ("home", "source", "message"),
    [
        ("dyncore.gating", "from dyncore.blocks import Path", "imports dyncore.blocks"),
        ("dyncore.gating", "import dyncore.hub", "imports dyncore.hub"),
        ("dyncore.blocks", "from dyncore.native import load", "imports dyncore.native"),
        ("dyncore.blocks", "from dyncore.kernels import install_kernels", "dyncore.kernels"),
        ("dyncore.network", "from dyncore.registry import Method", "imports dyncore.registry"),
        ("dyncore.parts", "from dyncore.network import DynamicConfig", "imports dyncore.network"),
        ("dyncore.registry", "from dyncore.cost import CostTable", "imports dyncore.cost"),
        ("dyncore.objectives", "from dyncore.recipes import Recipe", "imports dyncore.recipes"),
        ("dyncore.recipes", "from dyncore.training import train", "imports dyncore.training"),
        ("dyncore.objectives", "from dyncore.engine import Engine", "imports dyncore.engine"),
        ("dyncore.cli", "from dyncore.testing import Case", "imports dyncore.testing"),
        ("dyncore.testing", "from dyncore.cli import main", "imports dyncore.cli"),
        ("dyncore.training", "from dyncore.methods import static", "imports dyncore.methods"),
        ("dyncore.training", "from dyncore.export import Subnet", "imports dyncore.export"),
        ("dyncore.cli", "import dyncore.methods.static", "imports dyncore.methods.static"),
        ("dyncore.hub", "from dyncore.data import Batch", "imports dyncore.data"),
        ("dyncore.files", "from dyncore.hub import HubError", "imports dyncore.hub"),
        ("dyncore.native", "from dyncore.hub import HubError", "imports dyncore.hub"),
        ("dyncore.data", "from dyncore.gating import Gate", "imports dyncore.gating"),
        ("dyncore.hub", "from dyncore import DynamicNetwork", "name the room"),
        ("dyncore.cost", "import dyncore", "name the room"),
        ("dyncore.cost", "from dyncore.network._network import run_skipped", "what is public"),
        ("dyncore.cost", "import dyncore.network._network as n", "what is public"),
        ("dyncore.cost", "from ..training import Evaluation", "imports dyncore.training"),
        ("dyncore.cost", "from .. import training", "name the room"),
        ("dyncore.cost", "def f():\n    from dyncore.cli import main", "imports dyncore.cli"),
        (
            "dyncore.cost",
            "if TYPE_CHECKING:\n    from dyncore.training import Evaluation",
            "imports dyncore.training",
        ),
        ("dyncore.training", "import dyn_rdinet", "the method package dyn_rdinet"),
        ("dyncore.methods", "from dyncore.gating import Hidden", "gating does not export"),
        ("dyn_rdinet", "from dyncore.network import describe", "network does not export"),
        ("dyn_rdinet", "from dyncore.gating._relu1_gate import ReLU1Gate", "what is public"),
        ("dyn_rdinet", "from dyncore import secret", "dyncore does not export"),
        ("dyn_rdinet", "def f():\n    import dyn_spnet.losses", "the method package dyn_spnet"),
    ],
)
def test_the_checker_sees(home, source, message):
    assert any(message in wrong for wrong in violations(source, home))


@pytest.mark.parametrize(
    ("home", "source"),
    [
        ("dyncore.cost", "from dyncore.cost._table import anything\nfrom ._table import anything"),
        ("dyncore.training", "from dyncore.recipes import Recipe"),
        ("dyncore.cost", "import torch\nfrom dyncore.network import DynamicNetwork"),
        ("dyncore.report", "from dyncore.training import Evaluation"),
        ("dyncore.blocks", "from dyncore.data import Batch"),
        ("dyncore.hub", "from dyncore.files import replacing"),
        (
            "dyncore.methods",
            "from dyncore.recipes import Recipe\nfrom dyncore.hub import find_folder",
        ),
        (
            "dyn_rdinet",
            "import dyncore\nfrom dyncore import create_model\nimport dyn_rdinet.losses",
        ),
    ],
)
def test_the_checker_allows(home, source):
    assert violations(source, home) == []
