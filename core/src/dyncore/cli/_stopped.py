"""What a stopped run leaves on the screen."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from accelerate import PartialState

from dyncore.training import TrainingStopped


def leave(stop: TrainingStopped) -> NoReturn:
    """Say how to go on, once for all processes, and exit as a process that the signal ended."""
    state = PartialState()
    if state.is_main_process:
        how = "go on with" if state.num_processes == 1 else "go on, by the same launcher, with"
        print(f"dyn: {stop}; {how}\n{resume_command(sys.argv)}", file=sys.stderr)
    sys.exit(128 + stop.signal)


def resume_command(command: Sequence[str]) -> str:
    """The command line that goes on with the run that ``command`` started."""
    program, *arguments = command
    kept, skip = [Path(program).name], False
    for argument in arguments:
        if not skip and not argument.startswith("--resume="):
            kept += [argument] if argument != "--resume" else []
        skip = not skip and argument == "--resume"
    return shlex.join([*kept, "--resume", "auto"])
