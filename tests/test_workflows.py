"""GitHub's workflows call what is there, pin what they use, and may do no more than they need."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES}
JOBS = {
    f"{name}/{job}": content
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
PROJECTS = [
    file
    for folder in ("core", "methods/*", "examples/*")
    for file in sorted(ROOT.glob(f"{folder}/pyproject.toml"))
]
CALLED = re.compile(r"nox (?:-\S+ )*?-s (\S+)")


@pytest.fixture(scope="module")
def sessions() -> set[str]:
    every = ("--list", "--json", "--keywords", "not none")  # without: those that run by default
    command = [sys.executable, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *every]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {session["session"] for session in json.loads(listed)}


def steps(key: str) -> list[dict]:
    return JOBS[key].get("steps", [])


def called(key: str) -> set[str]:
    """The nox sessions that a job runs, in every row of its matrix."""
    text = "\n".join(step.get("run", "") for step in steps(key))
    matrix = JOBS[key].get("strategy", {}).get("matrix", {})
    found = set()
    for row in itertools.product(*matrix.values()):
        filled = text
        for name, value in zip(matrix, row, strict=True):
            filled = filled.replace(f"${{{{ matrix.{name} }}}}", value)
        found |= set(CALLED.findall(filled))
    return found


def test_the_workflows_are_those_of_the_project():
    assert set(WORKFLOWS) == {"ci", "nightly", "release"}
    assert JOBS["ci/tests"]["strategy"]["matrix"]["python"][0] == "3.10"  # no number: 3.1


@pytest.mark.parametrize("key", JOBS)
def test_every_session_that_is_called_exists(key, sessions):
    unknown = called(key) - sessions
    assert not unknown


def test_ci_runs_lint_types_every_python_and_both_ends_of_the_dependencies(sessions):
    ran = set().union(*(called(key) for key in JOBS if key.startswith("ci/")))
    pythons = {name for name in sessions if re.fullmatch(r"tests-3\.\d+", name)}
    assert {"lint", "types", "tests-lowest", "tests-newest", *pythons} <= ran
    assert {name for name in sessions if name.startswith("tests-")} <= ran


@pytest.mark.parametrize("file", PROJECTS, ids=lambda file: file.parent.name)
def test_every_package_says_the_pythons_that_ci_runs(file):
    text = file.read_text(encoding="utf-8")
    said = re.findall(r"Python :: (3\.\d+)", text)
    assert said == JOBS["ci/tests"]["strategy"]["matrix"]["python"]
    assert f'requires-python = ">={said[0]}"' in text


@pytest.mark.parametrize("key", JOBS)
def test_actions_are_pinned_to_a_major_version(key):
    used = [step["uses"] for step in steps(key) if "uses" in step]
    used += [JOBS[key]["uses"]] if "uses" in JOBS[key] else []
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w/-]+@(release/)?v\d+", action)


def test_only_the_jobs_of_a_release_may_write_and_only_what_they_need():
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] in ({}, {"contents": "read"}), name
    attesting = {"contents": "read", "id-token": "write", "attestations": "write"}
    wanted = {
        "release/tests": {"contents": "read"},
        "release/build": attesting,
        **{f"release/{job}": {"id-token": "write"} for job in ("core", "methods", "examples")},
    }
    assert {key: job["permissions"] for key, job in JOBS.items() if "permissions" in job} == wanted


def test_a_release_is_tested_and_published_in_the_order_of_its_dependencies():
    needs = {job: content.get("needs") for job, content in WORKFLOWS["release"]["jobs"].items()}
    assert needs["core"] == ["tests", "build"]
    assert needs["methods"] == "core"
    assert needs["examples"] == "methods"
    for job in ("core", "methods", "examples"):
        assert JOBS[f"release/{job}"]["environment"] == "pypi"
        fetched, published = steps(f"release/{job}")
        assert fetched["with"] == {"name": job, "path": "dist"}
        assert published["uses"].startswith("pypa/gh-action-pypi-publish@")


def test_every_package_is_published_once():
    """The globs of the three uploads, over the names of all wheels."""
    texts = [file.read_text(encoding="utf-8") for file in PROJECTS]
    names = [re.findall(r'^name = "(.+)"', text, re.MULTILINE)[0] for text in texts]
    wheels = [Path("dist") / f"{name.replace('-', '_')}-1.0-py3-none-any.whl" for name in names]
    uploads = {
        step["with"]["name"]: step["with"]["path"].split()
        for step in steps("release/build")
        if step.get("uses", "").startswith("actions/upload-artifact@")
    }
    for wheel in wheels:
        taken = [
            name
            for name, globs in uploads.items()
            if any(wheel.match(glob) for glob in globs if not glob.startswith("!"))
            and not any(wheel.match(glob[1:]) for glob in globs if glob.startswith("!"))
        ]
        kind = next(k for k in ("dyncore", "dyn_mixtures", "dyn_") if wheel.name.startswith(k))
        expected = {"dyncore": "core", "dyn_mixtures": "examples", "dyn_": "methods"}[kind]
        assert taken == [expected], wheel
