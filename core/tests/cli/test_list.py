"""``dyn list``, and ``dyn`` itself."""

import sys

import pytest

from dyncore.cli import train_main
from dyncore.recipes import recipes
from dyncore.registry import list_methods, list_models


@pytest.mark.parametrize("arguments", [["list"], ["list", "methods"]])
def test_methods(dyn, arguments):
    assert dyn(*arguments).out.split() == list_methods()


def test_models(dyn):
    assert dyn("list", "models").out.split() == list_models()
    ended = dyn("list", "models", "vanilla-resnet1")
    assert ended.out.split() == ["vanilla-resnet110-cifar", "vanilla-resnet101"]


def test_recipes_with_their_paper_and_place(dyn):
    lines = dyn("list", "recipes").out.splitlines()
    assert lines[0].split() == ["recipe", "kind", "paper", "table", "and", "row"]
    found = {line.split()[0]: " ".join(line.split()) for line in lines[1:-2]}
    assert list(found) == list(recipes())
    for name, recipe in recipes().items():
        assert found[name].endswith(f" {recipe.source.paper} {recipe.source.place}")
    assert lines[-1].startswith(f"{len(recipes())} recipes: ")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("static-resnet110-cifar10", "as printed  RDI-Net  Figure 5(a), ResNet"),
        ("static-resnet32-cifar10", "as printed  RDI-Net  section 4.1, no result printed"),
        ("vanilla-resnet110-cifar10-b0.6", "as printed  RDI-Net  Figure 5(a), Vanilla"),
        ("vanilla-resnet110-cifar10-b0.6-tuned", "tuned  RDI-Net  Figure 5(a), Vanilla"),
        ("vanilla-resnet20-cifar10-b0.6", "ours  ours  RDI-Net's set-up on a"),
        ("vanilla-resnet20-cifar10-b0.6-short", "short  ours  RDI-Net's set-up on a"),
        ("vanilla-resnet20-digits-b0.6", "ours, 2 changes  ours  RDI-Net's"),
    ],
)
def test_kinds_are_told_apart(dyn, name, kind):
    """What a paper prints, what we changed in it, and what is a set-up of ours."""
    (line,) = (
        line for line in dyn("list", "recipes", name).out.splitlines() if f"{name} " in f"{line} "
    )
    assert " ".join(line.split()).startswith(" ".join([name, *kind.split()]))


def test_recipes_of_a_prefix(dyn):
    lines = dyn("list", "recipes", "static-resnet20-").out.splitlines()[1:-2]
    names = {line.split()[0] for line in lines}
    setups = (
        *("cifar10", "cifar10-finetuned", "cifar10-short"),
        *("cifar100", "cifar100-short", "digits"),
    )
    assert names == {f"static-resnet20-{setup}" for setup in setups}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(dyn, arguments):
    ended = dyn(*arguments)
    assert ended.status == 0
    for command in ("list", "train", "eval", "cascade"):
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
    listed, usage, options = capsys.readouterr().out.partition("usage: train.py RECIPE [-h]")
    lines = listed.splitlines()
    assert lines[0].startswith("usage: train.py RECIPE ")
    names = [line.split()[0] for line in lines[3:-2]]
    assert names == [name for name in recipes() if name.startswith("vanilla-")]
    assert usage
    assert {"--data", "--epochs", "--precision"} <= set(options.split())
