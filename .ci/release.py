"""Whether this tree may be released as a version: says everything that stands in the way.

``python .ci/release.py 0.2.0`` exits with status 1 and one line per reason unless the tree is
clean, every package has that version, a written changelog for it, and bounds on the others that
fit, and CITATION.cff cites it. With ``--built dist`` that folder must hold what is to be published,
a whole wheel and a source archive per package, and nothing else. ``nox -s release -- 0.2.0`` runs
it before and after it builds.

All packages have one version and are released together, so that what is installed together was
tested together. A series is what a version may not break: 0.2 of 0.2.3, 2 of 2.4.1.
"""

import argparse
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.metadata import ExceptionGroup, Metadata
from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECTS = ("core", "methods/*", "examples/*")
"""Folders of the packages, in the order in which they are published."""
PRIVATE = "Private :: Do Not Upload"
"""Classifier of a package that is not published: the index refuses it, too."""


@dataclass(frozen=True)
class Package:
    """What a release needs to know of a package."""

    folder: str
    name: str
    version: str
    requirements: tuple[Requirement, ...]
    changelog: str


def packages(root: Path) -> list[Package]:
    """All packages of the repository that are published, dyncore first."""
    folders = [folder for project in PROJECTS for folder in sorted(root.glob(project))]
    files = [folder / "pyproject.toml" for folder in folders]
    projects = [(file, _project(file)) for file in files if file.exists()]
    return [
        _package(root, file, project)
        for file, project in projects
        if PRIVATE not in project.get("classifiers", ())
    ]


def _project(file: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return project


def _package(root: Path, file: Path, project: dict[str, Any]) -> Package:
    changelog = file.parent / "CHANGELOG.md"
    return Package(
        folder=file.parent.relative_to(root).as_posix(),
        name=project["name"],
        version=project["version"],
        requirements=tuple(Requirement(text) for text in project.get("dependencies", ())),
        changelog=changelog.read_text(encoding="utf-8") if changelog.exists() else "",
    )


def series(version: Version, step: int = 0) -> str:
    """The series of a version, or the one ``step`` after it: ``0.2`` of 0.2.3, ``2`` of 2.4.1."""
    return str(version.major + step) if version.major else f"0.{version.minor + step}"


def reasons(root: Path, text: str) -> Iterator[str]:
    """Why ``root`` may not be released as version ``text``, each as a line that says what to do."""
    try:
        version = Version(text)
    except InvalidVersion:
        yield f"{text!r} is no version: expected one like 0.2.0"
        return
    if text != str(version):
        yield f"{text!r} is not written as versions are: expected {version}"
    yield from _of_git(root, f"v{text}")
    ours = packages(root)
    if not ours:
        yield f"{root} holds no package: expected {', '.join(PROJECTS)}"
    names = {package.name for package in ours}
    for package in ours:
        if package.version != text:
            yield f"{package.folder}/pyproject.toml has version {package.version}: set it to {text}"
        yield from _of_changelog(package, text)
        for requirement in package.requirements:
            if requirement.name in names:
                yield from _of_bounds(package, requirement, version)
    citation = root / "CITATION.cff"
    cited = re.search(r"^version: *(\S+) *$", citation.read_text(encoding="utf-8"), re.MULTILINE)
    if cited is None or cited.group(1) != text:
        yield f"CITATION.cff cites version {cited and cited.group(1)}: set it to {text}"


def _of_git(root: Path, tag: str) -> Iterator[str]:
    changed = _git(root, "status", "--porcelain").splitlines()
    if changed:
        yield f"the tree is dirty: commit or remove {', '.join(line[3:] for line in changed)}"
    tagged = _git(root, "tag", "--list", tag) and _git(root, "rev-list", "-n1", tag)
    if tagged and tagged != _git(root, "rev-parse", "HEAD"):
        yield f"the tag {tag} is another commit, {tagged[:12]}: choose the next version"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")


def _of_changelog(package: Package, text: str) -> Iterator[str]:
    """A dated section with words in it, and nothing left under Unreleased."""
    file = f"{package.folder}/CHANGELOG.md"
    parts = re.split(r"^## (.+)$", package.changelog, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    dated = re.compile(rf"\[{re.escape(text)}\] - \d{{4}}-\d{{2}}-\d{{2}}")
    found = [body for heading, body in sections.items() if dated.fullmatch(heading.strip())]
    if not found:
        yield f"{file} has no section '## [{text}] - YEAR-MONTH-DAY': write it"
    elif not _words(found[0]):
        yield f"{file}: the section of {text} is empty: say what changed, or that nothing did"
    if _words(sections.get("[Unreleased]", "")):
        yield f"{file}: there are entries under [Unreleased]: move them to {text}"


def _words(body: str) -> str:
    """A section without its subheadings."""
    return re.sub(r"^#.*$", "", body, flags=re.MULTILINE).strip()


def _of_bounds(package: Package, requirement: Requirement, version: Version) -> Iterator[str]:
    """A package asks for the series that it is released with: no older one, no later one."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    expected = f"{requirement.name}{extras}>={series(version)},<{series(version, 1)}"
    bounds = {(bound.operator, Version(bound.version)) for bound in requirement.specifier}
    lower, upper = Version(series(version)), Version(series(version, 1))
    fits = ("<", upper) in bounds and any(
        operator == ">=" and lower <= bound <= version for operator, bound in bounds
    )
    if not fits or not requirement.specifier.contains(version, prereleases=True):
        yield f"{package.folder}/pyproject.toml asks for {requirement}: expected {expected}"


def built(dist: Path, ours: list[Package], text: str) -> Iterator[str]:
    """What is wrong with the files in ``dist``: missing, of too many, or of a wrong content."""
    stems = {f"{package.name.replace('-', '_')}-{text}": package for package in ours}
    wheels = {f"{stem}-py3-none-any.whl": package for stem, package in stems.items()}
    expected = {*wheels, *(f"{stem}.tar.gz" for stem in stems)}
    found = {file.name for file in dist.iterdir() if file.name != ".gitignore"}
    yield from (f"{dist.name} lacks {name}: build it" for name in sorted(expected - found))
    yield from (f"{dist.name} has {name}: remove it" for name in sorted(found - expected))
    for name, package in wheels.items():
        if name in found:
            yield from (f"{name}: {fault}" for fault in _of_wheel(dist / name, package, text))


def _of_wheel(file: Path, package: Package, text: str) -> Iterator[str]:
    info = f"{package.name.replace('-', '_')}-{text}.dist-info"
    with zipfile.ZipFile(file) as wheel:
        names = wheel.namelist()
        raw = wheel.read(f"{info}/METADATA")
    try:
        metadata = Metadata.from_email(raw, validate=True)
    except ExceptionGroup as group:  # Python's own from 3.11 on
        yield from (f"its metadata are refused: {error}" for error in group.exceptions)
        return
    if (metadata.name, str(metadata.version)) != (package.name, text):
        yield f"it says that it is {metadata.name} {metadata.version}"
    if not metadata.description:
        yield "it has no description: its README is missing"
    for wanted in (f"{info}/licenses/LICENSE", f"{package.name.replace('-', '_')}/py.typed"):
        if wanted not in names:
            yield f"it lacks {wanted}"


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Print every reason against the release; 1 if there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version", help="the version to release, like 0.2.0")
    parser.add_argument("--built", type=Path, help="folder of built files to check, too")
    options = parser.parse_args(arguments)
    found = list(reasons(root, options.version))
    if options.built and not found:
        found = list(built(root / options.built, packages(root), options.version))
    for reason in found:
        print(f"no release of {options.version}: {reason}", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
