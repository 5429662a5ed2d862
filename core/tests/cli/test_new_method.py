"""``dyn new-method``: what it writes is a method that trains and passes the conformance suite."""

import sys

import pytest

import dyncore.parts
from dyncore.recipes import find_recipe
from dyncore.testing import CHECKS, Case

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture
def made(dyn, tmp_path, monkeypatch):
    """The package's folder; what it registers is found while the test runs."""
    ended = dyn("new-method", "mynet", "--output", str(tmp_path))
    assert ended.status == 0, ended.err
    folder = tmp_path / "mynet"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in found.items())
        for group, found in project["entry-points"].items()
    ]
    info = folder / "src" / "dyn_mynet-0.1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("".join(points))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dyn-mynet\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(folder / "src"))
    dyncore.parts.registered.cache_clear()
    yield folder
    dyncore.parts.registered.cache_clear()
    for name in [name for name in sys.modules if name.startswith("dyn_mynet")]:
        del sys.modules[name]


def test_it_is_a_method(made, tmp_path):
    assert "mynet" in dyncore.list_methods()
    case = Case.of(find_recipe("mynet-resnet20-digits-b0.6"))
    for check in CHECKS:
        folder = tmp_path / check.__name__
        folder.mkdir()
        check(case, folder)


def test_names_and_folders_are_checked_before_anything_is_written(dyn, tmp_path):
    for wrong in ("my-net", "MyNet", "../x", ""):
        ended = dyn("new-method", wrong, "--output", str(tmp_path))
        assert (ended.status, list(tmp_path.iterdir())) == (2, [])
        assert ended.message.startswith("dyn: a method is named by small letters and digits")
    (tmp_path / "mynet").mkdir()
    ended = dyn("new-method", "mynet", "--output", str(tmp_path))
    assert "mynet is there already" in ended.message
