"""What an export needs beside dyncore, looked for before anything is written."""

import importlib.util
import os
import shutil
import sys

import torch

from dyncore.export._errors import ExportError

OLDEST_TORCH = "2.11"
"""Earlier exporters do not take these networks: torch 2.7 was tried."""
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_torch() -> None:
    """Raise :class:`ExportError` for a torch that cannot export."""
    if torch.__version__ < OLDEST_TORCH:
        raise ExportError(f"export needs torch {OLDEST_TORCH} or newer, not {torch.__version__}")


def require_onnx() -> None:
    """Raise :class:`ExportError`, saying what to install, for a package that is missing."""
    if missing := [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]:
        raise ExportError(
            f"ONNX export needs {', '.join(missing)}; install with: pip install 'dyncore[export]'"
        )


def require_compiler() -> None:
    """Raise :class:`ExportError`, saying what to install, where there is no C++ compiler."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise ExportError(
            f"pt2 export needs a C++ compiler, and there is no {compiler!r}: install one (on "
            "Debian: apt-get install g++), or name yours in the environment variable CXX"
        )
