"""Everything that is run on this repository; ``nox -l`` lists it.

Each session builds its own environment with uv, from the pins in constraints.txt.
"""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
METHODS = ("cdb", "dmnn", "rdinet", "spnet", "lcnet")
PACKAGES = {
    "dyncore": "core",
    **{method: f"methods/{method}" for method in METHODS},
    "mixtures": "examples/mixtures",
}
PATHS = tuple(PACKAGES.values())
OUTSIDE = ("examples/convnet_aig",)
"""Written as an outside package would be: not published, and installed by its own tests."""
NEEDS = {"mixtures": ("methods/dmnn", "methods/rdinet", "methods/spnet")}
"""Packages of ours that a package needs beside dyncore."""
PYTHONS = nox.project.python_versions(nox.project.load_toml("core/pyproject.toml"))
"""What the packages' classifiers say they run on."""
CONSTRAINTS = ("-c", "constraints.txt")
TEST_TOOLS = ("--group", "test")
WORKERS = "2"
"""pytest's processes; each computes with one thread, so more than there are cores only costs."""
BENCHMARKS = (
    "benchmarks/engine.py",
    "benchmarks/latency.py",
    "benchmarks/startup.py",
    "benchmarks/training.py",
)
STATIC_ENGINES = ("onnx", "onnxruntime", "onnxscript", "openvino")
"""What the engine is measured against."""
SOAKS = ("benchmarks/soak_resume.py", "benchmarks/soak_engine.py")
"""What is killed or called again and again."""


def editable(*folders: str) -> list[str]:
    """The arguments that install `folders` from the working tree; all packages if none is named.

    The core comes with what its tests train with.
    """
    named = [f"{folder}[train]" if folder == "core" else folder for folder in folders or PATHS]
    return [argument for folder in named for argument in ("-e", folder)]


def pytest(session: nox.Session, *paths: str) -> None:
    """Run pytest on `paths` (all tests if none) with the arguments after --."""
    session.run("pytest", "-n", WORKERS, *paths, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def quickstart(session: nox.Session) -> None:
    """Train three small networks on digits, compare, save and reload them (minutes, no network)."""
    session.install(*CONSTRAINTS, *editable("core", "methods/rdinet"), *STATIC_ENGINES)
    session.run("python", "benchmarks/quickstart.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Test every package in the working tree; arguments after -- go to pytest."""
    session.install(*CONSTRAINTS, *TEST_TOOLS, *editable())
    pytest(session)


@nox.session
def nightly(session: nox.Session) -> None:
    """Run the long tests that ``tests`` leaves out."""
    session.install(*CONSTRAINTS, *TEST_TOOLS, *editable())
    pytest(session, "-m", "nightly")


def add_python_tests(python: str) -> None:
    """Add the session that tests every package on this Python."""

    @nox.session(name=f"tests-{python}", python=python)
    def tests_python(session: nox.Session) -> None:
        """Test every package in the working tree on this Python."""
        session.install(*CONSTRAINTS, *TEST_TOOLS, *editable())
        pytest(session)


for version in PYTHONS:
    add_python_tests(version)


def add_wheel_tests(package: str, folder: str) -> None:
    """Add the session that tests `package` as its users get it."""

    @nox.session(name=f"tests-{package}")
    def tests_wheel(session: nox.Session) -> None:
        """Test this package alone, installed from its wheel with only what it declares."""
        sources = dict.fromkeys(["core", *NEEDS.get(package, ()), folder])
        built = [build_wheel(session, source) for source in sources]
        if package == "dyncore":
            built = [f"dyncore[train] @ {wheel.as_uri()}" for wheel in built]
        session.install(*CONSTRAINTS, *TEST_TOOLS, *map(str, built))
        pytest(session, f"{folder}/tests")


for package, folder in PACKAGES.items():
    add_wheel_tests(package, folder)


@nox.session(name="tests-light")
def tests_light(session: nox.Session) -> None:
    """Run a saved model with the core's wheel and nothing but its hard dependencies."""
    tools = ("beartype", "hypothesis", "pytest", "pytest-xdist")
    session.install(*CONSTRAINTS, *tools, str(build_wheel(session, "core")))
    pytest(session, "core/tests/test_light.py")


@nox.session(name="tests-demo")
def tests_demo(session: nox.Session) -> None:
    """Test the page of ``dyn demo`` in a browser; Gradio allows less than constraints.txt pins."""
    session.install(*CONSTRAINTS, *TEST_TOOLS, *editable("core"))
    session.install("-e", "core[demo]")
    pytest(session, "core/tests/demo")


@nox.session(name="tests-lowest")
def tests_lowest(session: nox.Session) -> None:
    """Test every package with the oldest dependencies that it declares."""
    session.install("--resolution", "lowest-direct", *TEST_TOOLS, *editable())
    pytest(session)


@nox.session(name="tests-newest")
def tests_newest(session: nox.Session) -> None:
    """Test every package with the newest dependencies that it allows, whatever is pinned."""
    session.install("--upgrade", *TEST_TOOLS, *editable())
    pytest(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install(*CONSTRAINTS, "--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the packages' types with mypy, strictly."""
    session.install(*CONSTRAINTS, "--group", "types", *editable())
    session.run("mypy", *(f"{folder}/src" for folder in (*PATHS, *OUTSIDE)))


@nox.session
def build(session: nox.Session) -> None:
    """Build each package's sdist and wheel into dist/."""
    build_all(session)


@nox.session
def release(session: nox.Session) -> None:
    """Check that the tree may be released as the version after --, build it, say what to tag."""
    session.install(*CONSTRAINTS, "--group", "release")
    session.run("python", ".ci/release.py", *session.posargs)
    build_all(session)
    session.run("python", ".ci/release.py", *session.posargs, "--built", "dist")
    (version,) = session.posargs
    session.log(f"ready: git tag v{version} && git push origin v{version}")


def build_all(session: nox.Session) -> None:
    """Build each package's sdist and wheel into dist/, which holds nothing else then."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for folder in PATHS:
        build_package(session, folder, dist)


def build_wheel(session: nox.Session, folder: str) -> Path:
    """Build the wheel of the package in `folder`, in a folder of its own."""
    target = Path(session.create_tmp()) / folder.replace("/", "-")
    shutil.rmtree(target, ignore_errors=True)
    build_package(session, folder, target, "--wheel")
    return next(target.glob("*.whl"))


def build_package(session: nox.Session, folder: str, target: Path, *options: str) -> None:
    """Build the package in `folder` into `target`."""
    where = ("--out-dir", str(target), "--build-constraints", "constraints.txt")
    session.run("uv", "build", "--quiet", *where, *options, folder, external=True)


@nox.session
def pages(session: nox.Session) -> None:
    """Fill the documents' tables from benchmarks/results/; -- --check only names old pages."""
    session.run("python", "benchmarks/pages.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into build/site and run its examples; every warning is an error."""
    session.install(*CONSTRAINTS, "--group", "docs", *editable())
    for builder, target in (("html", "site"), ("doctest", "doctest")):
        where = ("-d", "build/doctrees", "docs", f"build/{target}")
        session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", builder, *where)


@nox.session
def fidelity(session: nox.Session) -> None:
    """Compare parameters and MACs with every printed row; fails where one misses its tolerance."""
    session.install(*CONSTRAINTS, *editable())
    session.run("python", "benchmarks/fidelity.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read damaged files of every kind, 500 per loader and kind of damage (minutes)."""
    session.install(*CONSTRAINTS, *editable("core"))
    session.run("python", "core/tests/fuzz/fuzz.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what BENCHMARKS names; with arguments after --, the one whose name comes first."""
    session.install(*CONSTRAINTS, *editable(), *STATIC_ENGINES)
    run_scripts(session, BENCHMARKS)


def run_scripts(session: nox.Session, scripts: tuple[str, ...]) -> None:
    """Run all `scripts`, or, with arguments after --, the one whose name comes first."""
    name, *arguments = session.posargs or [""]
    chosen = [script for script in scripts if name in script]
    if not chosen:
        session.error(f"{name!r} is none of {', '.join(scripts)}")
    for script in chosen:
        session.run("python", script, *arguments)


@nox.session
def gpu(session: nox.Session) -> None:
    """All that needs a GPU, in nine minutes; arguments after -- go to benchmarks/gpu.py."""
    session.install(*CONSTRAINTS, *TEST_TOOLS, *editable())
    session.run("python", "benchmarks/gpu.py", *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """The engine's compiled code under sanitizers, on random networks (minutes; Linux, GCC)."""
    session.install(*CONSTRAINTS, *editable("core"))
    session.run("python", ".ci/sanitize.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Do at length what tests do briefly; with arguments after --, the script named first."""
    session.install(*CONSTRAINTS, *editable())
    run_scripts(session, SOAKS)
