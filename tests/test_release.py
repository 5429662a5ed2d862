"""What ``nox -s release`` refuses, in repositories made for it."""

import importlib.util
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = "0.2.1"
CHANGELOG = f"# Changelog\n\n## [Unreleased]\n\n## [{VERSION}] - 2030-01-31\n\n### Added\n\n- It.\n"
PROJECT = '[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {dependencies}\n'


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def package(folder: Path, name: str, dependencies: list[str], version: str = VERSION) -> None:
    folder.mkdir(parents=True)
    text = PROJECT.format(name=name, version=version, dependencies=dependencies)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository that may be released as VERSION."""
    root = tmp_path / "repository"
    package(root / "core", "dyncore", ["torch>=2"])
    package(root / "methods" / "one", "dyn-one", ["dyncore[train]>=0.2,<0.3", "torch"])
    package(root / "examples" / "two", "dyn-two", ["dyncore>=0.2,<0.3", "dyn-one>=0.2.1,<0.3"])
    (root / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {VERSION}\n", "utf-8")
    (root / ".gitignore").write_text("dist/\n", encoding="utf-8")
    git(root, "init", "--quiet")
    commit(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "A change")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_tree_that_fits_is_released(release, repository, capsys):
    assert release.main([VERSION], repository) == 0
    assert capsys.readouterr().err == ""
    git(repository, "tag", f"v{VERSION}")  # as the release workflow sees it
    assert release.main([VERSION], repository) == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("core/pyproject.toml", VERSION, "0.2.0", "core/pyproject.toml has version 0.2.0"),
        ("methods/one/pyproject.toml", f'"{VERSION}"', '"0.2.2"', "one/pyproject.toml has version"),
        ("CITATION.cff", f"version: {VERSION}", "version: 0.2.0", "CITATION.cff cites version 0.2"),
        ("CITATION.cff", f"\nversion: {VERSION}", "", "CITATION.cff cites version None"),
        ("core/CHANGELOG.md", f"[{VERSION}]", "[0.2.0]", "core/CHANGELOG.md has no section"),
        ("core/CHANGELOG.md", " - 2030-01-31", "", "core/CHANGELOG.md has no section"),
        ("core/CHANGELOG.md", "- It.", "", "the section of 0.2.1 is empty"),
        ("core/CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n- Left.\n", "under [Unreleased]"),
        ("methods/one/pyproject.toml", ">=0.2,", ">=0.1,", "expected dyncore[train]>=0.2,<0.3"),
        ("methods/one/pyproject.toml", ">=0.2,", ">=0.2.2,", "expected dyncore[train]>=0.2,<0.3"),
        ("methods/one/pyproject.toml", ">=0.2,", "", "expected dyncore[train]>=0.2,<0.3"),
        ("methods/one/pyproject.toml", ",<0.3", ",<0.4", "expected dyncore[train]>=0.2,<0.3"),
        ("methods/one/pyproject.toml", ",<0.3", "", "expected dyncore[train]>=0.2,<0.3"),
        ("methods/one/pyproject.toml", ",<0.3", ",<0.3,!=0.2.1", "expected dyncore[train]>=0.2"),
        ("examples/two/pyproject.toml", "dyn-one>=0.2.1", "dyn-one>=0.1", "expected dyn-one>=0.2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(release, repository, capsys, file, old, new, reason):
    edit(repository / file, old, new)
    commit(repository)
    assert release.main([VERSION], repository) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"no release of {VERSION}: ")
    assert reason in line


@pytest.mark.parametrize("name", ["new.py", "core/CHANGELOG.md"])
def test_a_dirty_tree_is_refused(release, repository, capsys, name):
    with (repository / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert release.main([VERSION], repository) == 1
    assert f"the tree is dirty: commit or remove {name}" in capsys.readouterr().err


def test_a_version_that_was_tagged_elsewhere_is_refused(release, repository, capsys):
    git(repository, "tag", f"v{VERSION}")
    commit(repository)
    assert release.main([VERSION], repository) == 1
    assert f"the tag v{VERSION} is another commit" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "reason"), [("next", "is no version"), ("v0.2.1", "expected 0")])
def test_what_is_no_version_is_refused(release, repository, capsys, text, reason):
    assert release.main([text], repository) == 1
    assert reason in capsys.readouterr().err


def test_all_reasons_are_said_at_once(release, repository, capsys):
    assert release.main(["0.3.0"], repository) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 * 2 + 3 + 1  # versions and changelogs, bounds, citation


def test_a_series_is_what_may_not_break(release):
    """Semantic versioning: before 1.0 a minor version may break what an earlier one promised."""
    wanted = {"0.2.3": ("0.2", "0.3"), "2.4.1": ("2", "3"), "0.9.0": ("0.9", "0.10")}
    for text, (own, next_one) in wanted.items():
        version = release.Version(text)
        assert (release.series(version), release.series(version, 1)) == (own, next_one)


@pytest.fixture
def dist(repository) -> Path:
    """What a build of the repository leaves."""
    folder = repository / "dist"
    folder.mkdir()
    for name in ("dyncore", "dyn-one", "dyn-two"):
        stem = f"{name.replace('-', '_')}-{VERSION}"
        (folder / f"{stem}.tar.gz").touch()
        wheel(folder / f"{stem}-py3-none-any.whl", name)
    return folder


def wheel(file: Path, name: str, metadata: str = "", files: tuple[str, ...] = ()) -> None:
    module = name.replace("-", "_")
    info = f"{module}-{VERSION}.dist-info"
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {VERSION}\n"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata or f"{head}\nWhat it is.\n")
        for entry in files or (f"{info}/licenses/LICENSE", f"{module}/py.typed"):
            archive.writestr(entry, "")


def test_built_files_that_are_whole_are_released(release, repository, dist, capsys):
    assert release.main([VERSION, "--built", "dist"], repository) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda d: (d / "dyn_one-0.2.1.tar.gz").unlink(), "dist lacks dyn_one-0.2.1.tar.gz"),
        (lambda d: (d / "dyn_one-0.2.1-py3-none-any.whl").unlink(), "dist lacks dyn_one-0.2.1-py3"),
        (lambda d: (d / "dyncore-0.2.0.tar.gz").touch(), "dist has dyncore-0.2.0.tar.gz: remove"),
        (
            lambda d: wheel(d / "dyn_one-0.2.1-py3-none-any.whl", "dyn-one", files=("x",)),
            "dyn_one-0.2.1-py3-none-any.whl: it lacks dyn_one-0.2.1.dist-info/licenses/LICENSE",
        ),
        (
            lambda d: wheel(
                d / "dyn_one-0.2.1-py3-none-any.whl",
                "dyn-one",
                "Metadata-Version: 2.4\nName: dyn-two\nVersion: 0.2.1\n\nIt.\n",
            ),
            "it says that it is dyn-two 0.2.1",
        ),
        (
            lambda d: wheel(
                d / "dyn_one-0.2.1-py3-none-any.whl",
                "dyn-one",
                "Metadata-Version: 2.4\nName: dyn-one\nVersion: 0.2.1\n",
            ),
            "it has no description",
        ),
        (
            lambda d: wheel(
                d / "dyn_one-0.2.1-py3-none-any.whl",
                "dyn-one",
                "Metadata-Version: 2.4\nName: dyn-one\nVersion: new\n\nIt.\n",
            ),
            "its metadata are refused",
        ),
    ],
)
def test_built_files_that_are_not_whole_are_refused(
    release, repository, dist, capsys, spoil, reason
):
    spoil(dist)
    assert release.main([VERSION, "--built", "dist"], repository) == 1
    assert reason in capsys.readouterr().err


def test_this_repository_has_every_package(release):
    found = [package.name for package in release.packages(ROOT)]
    assert found[0] == "dyncore"
    assert sorted(found[1:]) == [
        "dyn-cdb",
        "dyn-dmnn",
        "dyn-lcnet",
        "dyn-mixtures",
        "dyn-rdinet",
        "dyn-spnet",
    ]
