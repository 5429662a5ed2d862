"""The command lines of docs/distributed.md, up to the moment at which processes would start."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch.distributed.run as torchrun
from accelerate.commands import launch
from accelerate.utils import launch as launch_utils

from dyncore.cli import _train, _training
from dyncore.recipes import Recipe, recipes
from dyncore.training import RunOptions

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
TEXT = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(block.replace("\\\n", " ")) for block in BLOCK.findall(TEXT)]


@dataclass(frozen=True)
class Started:
    """What a launcher was about to start on one machine."""

    machine: int
    machines: int
    processes: int
    """On this machine."""
    meeting: str
    """Address and port of the first machine."""
    script: str
    arguments: list[str]


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Runs a command line of a launcher, which stops just before it starts a process."""
    started: list[Started] = []

    def torch_run(args) -> None:
        config, _, (_, script, *arguments) = torchrun.config_from_args(args)
        started.append(
            Started(
                machine=config.rdzv_configs["rank"],
                machines=config.max_nodes,
                processes=config.nproc_per_node,
                meeting=config.rdzv_endpoint,
                script=script,
                arguments=arguments,
            )
        )

    def popen(command: list[str], env: dict[str, str]) -> SimpleNamespace:
        _, script, *arguments = command
        assert env["ACCELERATE_USE_CPU"].lower() == "true"
        started.append(Started(0, 1, 1, "", script, arguments))
        return SimpleNamespace(wait=lambda: 0, returncode=0)

    monkeypatch.setattr(torchrun, "run", torch_run)
    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(launch_utils, "is_port_in_use", lambda port: False)
    monkeypatch.setattr(launch, "default_config_file", str(tmp_path / "none.yaml"))

    def run(command: list[str]) -> Started:
        program, *arguments = command
        if program == "torchrun":
            torchrun.main(arguments)
        else:
            assert [program, arguments.pop(0)] == ["accelerate", "launch"]
            launch.launch_command(launch.launch_command_parser().parse_args(arguments))
        return started.pop()

    return run


@pytest.fixture
def trained(monkeypatch):
    """Runs ``dyn train`` with some arguments; the recipe and the options that it would use."""
    asked: list[tuple[Recipe, RunOptions]] = []

    def train(recipe: Recipe, options: RunOptions) -> SimpleNamespace:
        asked.append((recipe, options))
        return SimpleNamespace(model="model", folder=Path("run"))

    monkeypatch.setattr(_training, "train", train)

    def run(arguments: list[str]) -> tuple[Recipe, RunOptions]:
        _train.run(arguments)
        return asked.pop()

    return run


def test_every_kind_of_launch_has_an_example():
    assert [command[0] for command in COMMANDS].count("accelerate") == 4
    assert [command[0] for command in COMMANDS].count("torchrun") == 1


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(c[:7]) for c in COMMANDS])
def test_the_command_starts_a_script_of_ours_with_a_recipe_it_knows(start, trained, command):
    started = start(command)
    assert (ROOT / started.script).is_file()
    recipe, options = trained(started.arguments)
    assert recipe == recipes()[recipe.name]
    assert recipe.batch_size % (started.machines * started.processes) == 0
    assert options.resume == "auto"


def test_two_machines_meet(start):
    first, second = (start(command) for command in COMMANDS if "--machine_rank" in command)
    assert (first.machine, second.machine) == (0, 1)
    assert first.machines == second.machines == 2
    assert first.processes == second.processes == 8
    assert first.meeting == second.meeting == "10.0.0.1:29500"
    assert (first.script, first.arguments) == (second.script, second.arguments)


def test_one_machine_uses_its_eight_gpus(start):
    (command,) = (c for c in COMMANDS if "--multi_gpu" in c and "--machine_rank" not in c)
    started = start(command)
    assert (started.machines, started.processes) == (1, 8)


def test_a_wrong_option_does_not_pass(start, trained):
    with pytest.raises(SystemExit):
        start(["accelerate", "launch", "--num_procesess", "2", "train.py"])
    arguments = start(COMMANDS[0]).arguments
    with pytest.raises(SystemExit):
        trained([*arguments, "--resum", "auto"])
