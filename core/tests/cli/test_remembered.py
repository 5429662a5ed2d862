"""An answer is found once, and again as soon as something that it was made of is another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dyncore.cli._remembered import remembered
from dyncore.files import cache_folder

RECIPES = """
from types import SimpleNamespace
SOURCE = SimpleNamespace(paper="ours", setup="paper", changes=(), place="PLACE")
RECIPES = {"fake-a": SimpleNamespace(source=SOURCE)}
"""


@pytest.fixture(autouse=True)
def _remembered_as_usual(_nothing_is_remembered, monkeypatch) -> None:
    monkeypatch.setattr("dyncore.cli._remembered.cache_folder", cache_folder)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dyncore" / "answers"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of packages with one that registers a recipe."""
    folder = tmp_path / "site"
    (folder / "fake").mkdir(parents=True)
    (folder / "fake" / "__init__.py").write_text("")
    (folder / "fake" / "recipes.py").write_text(RECIPES)
    (folder / "fake-1.0.dist-info").mkdir()
    (folder / "fake-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n"
    )
    (folder / "fake-1.0.dist-info" / "entry_points.txt").write_text(
        "[dyncore.recipes]\nfake = fake.recipes:RECIPES\n"
    )
    _age(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def _age(folder: Path) -> None:
    """As if everything had been written an hour ago."""
    for path in folder.rglob("*"):
        hour_ago = path.stat().st_mtime_ns - 3600 * 10**9
        os.utime(path, ns=(hour_ago, hour_ago))


class Count:
    """Answers 1, 2, 3, ..."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> list[int]:
        self.calls += 1
        return [self.calls]


@pytest.fixture
def count() -> Count:
    return Count()


def test_found_once(cache, count):
    assert [remembered("q", count), remembered("q", count)] == [[1], [1]]
    assert remembered("another", count) == [2]
    assert len(list(cache.iterdir())) == 2


def test_what_is_given_is_part_of_the_question(cache, count):
    assert remembered("q", count, given=[80, None]) == [1]
    assert remembered("q", count, given=[100, None]) == [2]
    assert remembered("q", count, given=[100, None]) == [2]
    assert len(list(cache.iterdir())) == 1


def _edit(site: Path) -> None:
    """Another content of the same size."""
    file = site / "fake" / "recipes.py"
    file.write_text(file.read_text().replace("PLACE", "CABLE"))


def _touch_data(site: Path) -> None:
    (site / "fake" / "table.json").write_text("{}")


def _remove(site: Path) -> None:
    (site / "fake" / "recipes.py").unlink()


def _register(site: Path) -> None:
    with (site / "fake-1.0.dist-info" / "entry_points.txt").open("a") as file:
        file.write("[dyncore.methods]\nfake = fake.method:METHOD\n")


def _update(site: Path) -> None:
    (site / "fake-1.0.dist-info").rename(site / "fake-2.0.dist-info")
    metadata = site / "fake-2.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "2.0"))


def _uninstall(site: Path) -> None:
    (site / "fake-1.0.dist-info" / "entry_points.txt").unlink()


@pytest.mark.parametrize("change", [_edit, _touch_data, _remove, _register, _update, _uninstall])
def test_found_anew_when_a_package_that_registers_changes(cache, site, count, change):
    assert [remembered("q", count), remembered("q", count)] == [[1], [1]]
    change(site)
    assert remembered("q", count) == [2]


def test_found_anew_when_a_module_that_registers_nothing_changes(
    cache, tmp_path, monkeypatch, count
):
    helper = tmp_path / "helper_of_a_package.py"
    helper.write_text("PLACE = 1")
    _age(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def find() -> list[int]:
        import helper_of_a_package

        return [*count(), helper_of_a_package.PLACE]

    try:
        assert [remembered("q", find), remembered("q", find)] == [[1, 1], [1, 1]]
        helper.write_text("PLACE = 2")
        assert remembered("q", find)[0] == 2
    finally:
        sys.modules.pop("helper_of_a_package", None)


def test_what_changes_while_the_answer_is_found_is_not_kept(cache, site, count):
    def find() -> list[int]:
        _edit(site)
        return count()

    assert remembered("q", find) == [1]
    assert remembered("q", count) == [2]


def test_an_answer_that_is_an_error_is_not_kept(cache):
    def find() -> list[int]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        remembered("q", find)
    assert not cache.exists()


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"asked": 1}', b"\xff", b"null"])
def test_a_damaged_file_is_replaced(cache, count, damage):
    remembered("q", count)
    (file,) = cache.iterdir()
    file.write_bytes(damage)
    assert [remembered("q", count), remembered("q", count)] == [[2], [2]]
    assert json.loads(file.read_bytes())["answer"] == [2]


def test_without_a_folder_to_write_it_is_found_at_every_call(tmp_path, monkeypatch, count):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert [remembered("q", count), remembered("q", count)] == [[1], [2]]


def test_without_a_home_it_is_found_at_every_call(monkeypatch, count):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert [remembered("q", count), remembered("q", count)] == [[1], [2]]


def test_dyn_list_shows_an_edited_recipe(site, tmp_path):
    """The command itself, in processes of its own."""
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def lines(arguments: str) -> list[str]:
        code = (
            f"import sys; from dyncore.cli import main; main({arguments.split()})\n"
            "print('torch' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return [" ".join(line.split()) for line in done.stdout.splitlines()]

    def shown(arguments: str) -> tuple[list[str], str]:
        found = lines(arguments)
        return [line for line in found if line.startswith("fake-a ")], found[-1]

    assert shown("list recipes fake-") == (["fake-a ours ours PLACE"], "True")
    assert shown("list recipes fake-") == (["fake-a ours ours PLACE"], "False")
    _edit(site)
    assert shown("list recipes fake-") == (["fake-a ours ours CABLE"], "True")
