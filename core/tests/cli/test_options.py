"""Options are written without the rooms that they are for, and say the same as these."""

import os
import subprocess
from typing import get_type_hints

import pytest

from dyncore.cascade import Answer, Confidence
from dyncore.cli._completion import script
from dyncore.cli._main import COMMANDS, UNTYPED
from dyncore.cli._options import EXAMPLES, OPTIONS, CascadeOptions, EvalOptions, parse
from dyncore.training import Precision


def test_choices_are_those_of_the_rooms():
    assert get_type_hints(EvalOptions)["precision"] == Precision
    hints = get_type_hints(CascadeOptions)
    assert (hints["confidence"], hints["answer"]) == (Confidence, Answer)


def test_every_command_with_fixed_options_has_them():
    assert {*OPTIONS, *UNTYPED} == set(COMMANDS)
    assert set(EXAMPLES) == set(OPTIONS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_has_an_example_that_is_right(dyn, command):
    """Options of the example are read as they would be, and nothing is run."""
    ended = dyn(command, "--help")
    assert ended.status == 0
    text = " ".join(ended.out.replace("│", " ").split())
    assert f"dyn {command}" in text.partition("usage:")[2]
    if command in EXAMPLES:
        assert f"Example: {EXAMPLES[command]}" in text
        program, named, *arguments = EXAMPLES[command].split()
        assert (program, named) == ("dyn", command)
        parse(command, arguments)


def test_completion_knows_commands_recipes_and_options(tmp_path):
    """In bash itself, with a ``dyn`` that lists two recipes."""
    fake = tmp_path / "dyn"
    fake.write_text("#!/bin/sh\necho recipe paper\necho vanilla-a ours\necho vanilla-b ours\n")
    fake.chmod(0o755)

    def completed(*words: str) -> list[str]:
        setting = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _dyn"
        code = f'{script()}\n{setting}; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(
            ["bash", "-c", code],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert completed("dyn", "re") == ["reproduce", "report"]
    assert completed("dyn", "train", "van") == ["vanilla-a", "vanilla-b"]
    assert completed("dyn", "eval", "m", "--pre") == ["--precision"]
    assert completed("dyn", "list", "m") == ["methods", "models"]
