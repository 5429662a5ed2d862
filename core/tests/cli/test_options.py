"""Options are written without the rooms that they are for, and say the same as these."""

from typing import get_type_hints

from dyncore.cascade import Answer, Confidence
from dyncore.cli._main import COMMANDS
from dyncore.cli._options import OPTIONS, CascadeOptions, EvalOptions
from dyncore.training import Precision


def test_choices_are_those_of_the_rooms():
    assert get_type_hints(EvalOptions)["precision"] == Precision
    hints = get_type_hints(CascadeOptions)
    assert (hints["confidence"], hints["answer"]) == (Confidence, Answer)


def test_every_command_with_fixed_options_has_them():
    assert {*OPTIONS, "list", "show", "train"} == set(COMMANDS)
