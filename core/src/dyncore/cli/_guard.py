"""How a command ends that cannot go on."""

import sys
from collections.abc import Callable
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


def guard(run: Callable[[], None]) -> None:
    """Run a command; an error that is meant for people loses its traceback and gets a prefix."""
    try:
        run()
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in TRAINING:
            raise
        fail(f"this needs {module}, which is not installed: pip install 'dyncore[train]'")
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        fail(str(error))
    except (OSError, RuntimeError) as error:
        # HubError and RegistryError, told by their home: their rooms need torch, and help does not.
        if not type(error).__module__.startswith("dyncore."):
            raise
        fail(str(error))
    except SystemExit as stop:  # tyro has shown what is wrong with which option
        if stop.code == 2:
            fail("the options above are wrong or missing; --help explains all of them")
        raise


def fail(message: str, status: int = 2) -> NoReturn:
    """Say what is wrong, on one line, and exit."""
    print(f"dyn: {message}", file=sys.stderr)
    sys.exit(status)
