"""Nothing heavy is imported before it is needed; a saved model runs without ``dyncore[train]``."""

import ast
import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from importlib.util import find_spec

import pytest
import torch
from packaging.requirements import Requirement

import dyncore
from dyncore.cli._guard import TRAINING

HEAVY = {*TRAINING, "onnx", "onnxscript", "onnxruntime", "pandas", "torch._dynamo", "triton"}
FROM_TORCH = {"tqdm"}
"""What torch itself imports where it is installed."""
PLAIN = "vanilla-resnet20-cifar"
TYPED = (
    "eval",
    "bench",
    "calibrate",
    "cascade",
    "export",
    "new-method",
    "push",
    "report",
    "reproduce",
)
needs_training = pytest.mark.skipif(
    find_spec("tyro") is None, reason="dyncore[train] is not installed"
)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def imported(code: str, **environment: str) -> set[str]:
    """The modules that are loaded after ``code``."""
    done = run(f"{code}\nimport sys\nprint(); print(sorted(sys.modules))", **environment)
    assert done.returncode == 0, done.stderr
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def blocked(code: str) -> subprocess.CompletedProcess[str]:
    """Run code as if nothing of ``dyncore[train]`` were installed."""
    return run(f"import sys\nsys.modules.update(dict.fromkeys({sorted(TRAINING)}))\n{code}")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("saved") / "model"
    torch.manual_seed(0)
    model = dyncore.create_model(PLAIN)
    model.info = dyncore.ModelInfo(
        preprocessing=dyncore.data.Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=32)
    )
    model.save_pretrained(folder)
    return str(folder)


def test_importing_dyncore_imports_no_room():
    modules = imported("import dyncore; dir(dyncore); dyncore.__version__")
    assert not {module for module in modules if module.startswith("dyncore.")}
    assert "torch" not in modules


@pytest.mark.parametrize(
    "code",
    [
        "dyncore.create_model({model!r})(torch.randn(2, 3, 32, 32))",
        "dyncore.from_pretrained({saved!r})(torch.randn(2, 3, 32, 32))",
        "dyncore.run_skipped(dyncore.from_pretrained({saved!r}), torch.randn(2, 3, 32, 32))",
        "dyncore.create_model({model!r}).save_pretrained({folder!r})",
        "dyncore.list_models()",
    ],
)
def test_using_a_model_imports_nothing_of_training(code, saved, tmp_path):
    code = code.format(model=PLAIN, saved=saved, folder=str(tmp_path))
    assert not imported(f"import torch, dyncore\n{code}") & (HEAVY - FROM_TORCH)


def test_a_local_folder_needs_no_client_of_the_hub(saved):
    modules = imported(f"import dyncore\ndyncore.from_pretrained({saved!r})")
    assert "huggingface_hub.hf_api" not in modules


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list", "--help"],
        ["train", "--help"],
        *(pytest.param([command, "--help"], marks=needs_training) for command in TYPED),
    ],
    ids=str,
)
def test_help_imports_no_torch(arguments):
    code = (
        "from dyncore.cli import main\n"
        f"try: main({arguments})\nexcept SystemExit as stop: assert not stop.code"
    )
    assert not imported(code) & {"torch", *HEAVY - {"tyro"}}


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "methods"],
        ["list", "models"],
        pytest.param(["list", "recipes"], marks=needs_training),
        pytest.param(
            ["train", f"{PLAIN.removesuffix('-cifar')}-digits-b0.5", "--help"], marks=needs_training
        ),
    ],
    ids=str,
)
def test_the_second_answer_imports_no_torch(arguments, tmp_path):
    code = f"from dyncore.cli import main\nmain({arguments})"
    first, second = (imported(code, XDG_CACHE_HOME=str(tmp_path)) for _ in range(2))
    assert "torch" in first
    assert not second & {"torch", *HEAVY - {"rich"}}


def test_every_name_of_the_package_is_there():
    assert {"Engine", "create_model", "from_pretrained"} < set(dir(dyncore))
    for name in dyncore.__all__:
        assert getattr(dyncore, name) is not None


def test_a_saved_model_runs_without_the_extra(saved):
    done = blocked(
        "from dyncore import *\n"
        "import dyncore, torch\n"
        f"model = dyncore.from_pretrained({saved!r})\n"
        "images = torch.randn(2, 3, 32, 32)\n"
        "output = model(images)\n"
        "torch.testing.assert_close(dyncore.run_skipped(model, images).logits, output.logits)\n"
        "engine = dyncore.Engine(model, images, precision='fp32')\n"
        "torch.testing.assert_close(engine(images).logits, output.logits, rtol=1e-4, atol=1e-4)\n"
        "print(dyncore.cost_table(model, (3, 32, 32)).static)\n"
    )
    assert done.returncode == 0, done.stderr
    expected = dyncore.cost_table(dyncore.create_model(PLAIN), (3, 32, 32)).static
    assert done.stdout == f"{expected}\n"


def test_preprocessing_says_what_it_needs(saved):
    done = blocked(
        f"import dyncore\nmodel = dyncore.from_pretrained({saved!r})\ndyncore.transforms(model)"
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: preprocessing images needs torchvision; install it with: "
        "pip install torchvision"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "recipes"],
        ["train", "static-resnet20-digits"],
        ["train", "static-resnet20-digits", "--help"],
        ["eval", "model", "--data", "digits"],
        ["bench", PLAIN],
        ["cascade", "model", "other", "--data", "digits"],
        ["export", "model", "--format", "onnx"],
        ["push", "model", "org/name"],
        ["reproduce", "campaign.toml"],
        ["report", "evaluation.parquet"],
        ["new-method", "mynet"],
    ],
    ids=" ".join,
)
def test_a_command_says_what_it_needs(arguments, tmp_path):
    code = f"import os; os.environ['XDG_CACHE_HOME'] = {str(tmp_path)!r}\n"
    done = blocked(f"{code}from dyncore.cli import main\nmain({arguments})")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("dyn: this needs ")
    assert done.stderr.endswith(", which is not installed: pip install 'dyncore[train]'\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["list", "models"]])
def test_what_needs_nothing_works_without_the_extra(arguments, tmp_path):
    code = f"import os; os.environ['XDG_CACHE_HOME'] = {str(tmp_path)!r}\n"
    done = blocked(f"{code}from dyncore.cli import main\nmain({arguments})")
    assert done.returncode == 0, done.stderr
    assert done.stdout


@needs_training
def test_the_extra_is_what_the_commands_call_by_name():
    requirements = map(Requirement, requires("dyncore") or ())
    declared = {
        requirement.name
        for requirement in requirements
        if requirement.marker and requirement.marker.evaluate({"extra": "train"})
    }
    distributions = packages_distributions()
    assert declared == {distributions[module][0].lower() for module in TRAINING}
