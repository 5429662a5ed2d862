"""How a command ends that cannot go on."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

TRAINING = frozenset(
    {
        "PIL",
        "accelerate",
        "datasets",
        "matplotlib",
        "pyarrow",
        "rich",
        "sklearn",
        "torchvision",
        "tqdm",
        "tyro",
    }
)
"""The modules that ``dyncore[train]`` brings."""
DEMO = frozenset({"gradio"})
"""Those that ``dyncore[demo]`` brings."""


def guard(run: Callable[[], None], *, debug: bool = False) -> None:
    """Run a command; an error becomes one paragraph, unless ``debug`` asks for its traceback.

    What is wrong with what was given ends with status 2, what nobody expected with 1.
    """
    if debug:
        run()
        return
    try:
        run()
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = "train" if module in TRAINING else "demo" if module in DEMO else None
        if extra is None:
            _unexpected(error)
        fail(f"this needs {module}, which is not installed: pip install 'dyncore[{extra}]'")
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        fail(str(error))
    except SystemExit as stop:  # tyro has shown what is wrong with which option
        if stop.code == 2:
            fail("the options above are wrong or missing; --help explains all of them")
        raise
    except Exception as error:
        # HubError and RegistryError, told by their home: their rooms need torch, and help does not.
        told = isinstance(error, (OSError, RuntimeError))
        if told and type(error).__module__.startswith("dyncore."):
            fail(str(error))
        _unexpected(error)


def _unexpected(error: Exception) -> NoReturn:
    """A fault, ours or the machine's: what and where, on one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    fail(f"unexpected {what} ({where}); --debug shows the whole traceback", status=1)


def fail(message: str, status: int = 2) -> NoReturn:
    """Say what is wrong, on one line, and exit."""
    print(f"dyn: {message}", file=sys.stderr)
    sys.exit(status)
