"""``dyn list``, and ``dyn`` itself."""

import sys

import pytest

from dyncore.cli import train_main
from dyncore.registry import list_methods, list_models
from dyncore.training import recipes


@pytest.mark.parametrize("arguments", [["list"], ["list", "methods"]])
def test_methods(dyn, arguments):
    assert dyn(*arguments).out.split() == list_methods()


def test_models(dyn):
    assert dyn("list", "models").out.split() == list_models()
    ended = dyn("list", "models", "vanilla-resnet1")
    assert ended.out.split() == ["vanilla-resnet110-cifar", "vanilla-resnet101"]


def test_recipes_with_their_paper_and_place(dyn):
    lines = dyn("list", "recipes").out.splitlines()
    assert lines[0].split() == ["recipe", "paper", "table", "and", "row"]
    expected = [[name, r.source.paper, r.source.place] for name, r in recipes().items()]
    assert [" ".join(line.split()) for line in lines[1:]] == list(map(" ".join, expected))


def test_recipes_of_a_prefix(dyn):
    lines = dyn("list", "recipes", "static-resnet20-").out.splitlines()[1:]
    names = {line.split()[0] for line in lines}
    assert names == {f"static-resnet20-{data}" for data in ("cifar10", "cifar100", "digits")}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(dyn, arguments):
    ended = dyn(*arguments)
    assert ended.status == 0
    for command in ("list", "train", "eval"):
        assert f"\n  {command} " in ended.out


@pytest.mark.parametrize("command", ["list", "train"])
def test_help_of_a_command(dyn, command):
    ended = dyn(command, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"usage: dyn {command} ")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_methods_script_lists_its_recipes(capsys, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    train_main("vanilla")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("usage: train.py RECIPE ")
    names = [line.split()[0] for line in lines[3:]]
    assert names == [name for name in recipes() if name.startswith("vanilla-")]
