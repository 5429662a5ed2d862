"""The compiled code, and the check that its structs are those that Python fills."""

import ctypes
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from dyncore.engine.native import _structs as structs
from dyncore.engine.plan import ActivationKind
from dyncore.native import check_layout as check_structs
from dyncore.native import load

SOURCE = Path(__file__).parent / "cpp" / "network.cpp"
FLAGS = ("-pthread",)
BFLOAT16 = "-DBFLOAT16"
"""With layers in bfloat16, and copies of the maps that they read."""
EMULATED = "-DEMULATED"
"""The same in plain vectors, for tests on any processor."""
MATRICES = "-DMATRICES"
"""Emulated: with the matrices of some processors, which are used wherever they are."""

IDENTITY, CONVOLUTION, PADDING, NO_SHORTCUT = range(4)
"""Kinds of shortcut; see block.h."""
MAX_PATHS = 64
"""Most paths of a block."""
MAX_EARLIER = 64
"""Most earlier features that a router reads."""

CONSTANTS = {
    "NONE": ActivationKind.NONE,
    "RELU": ActivationKind.RELU,
    "RELU6": ActivationKind.RELU6,
    "HARDSWISH": ActivationKind.HARDSWISH,
    "GELU": ActivationKind.GELU,
    "IDENTITY": IDENTITY,
    "CONVOLUTION": CONVOLUTION,
    "PADDING": PADDING,
    "NO_SHORTCUT": NO_SHORTCUT,
    "MAX_PATHS": MAX_PATHS,
    "MAX_EARLIER": MAX_EARLIER,
}
"""Those that the C++ has, too."""


@functools.cache
def library(dtype: torch.dtype, *flags: str) -> ctypes.CDLL | None:
    """The compiled code for tensors of ``dtype``; None where it cannot be had.

    ``flags`` are those of another form of it: :data:`BFLOAT16`, :data:`EMULATED`.
    """
    loaded = load(SOURCE, dtype, (*FLAGS, *flags), user="engines run")
    if loaded is None:
        return None
    check_layout(loaded)
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    loaded.map_numbers.restype = ctypes.c_int64
    loaded.map_numbers.argtypes = [pointer]
    loaded.new_team.restype = pointer
    loaded.new_team.argtypes = [integer]
    loaded.delete_team.argtypes = [pointer]
    loaded.delete_team.restype = None
    loaded.run_block.restype = None
    loaded.run_block.argtypes = [pointer] * 5 + [integer] + [pointer] * 3
    loaded.run_network.restype = None
    loaded.run_network.argtypes = [pointer] * 7
    loaded.run_router.restype = None
    loaded.run_router.argtypes = [pointer] * 3 + [integer, pointer]
    loaded.run_head.restype = None
    loaded.run_head.argtypes = [pointer] * 5 + [integer, pointer]
    loaded.run_stem.restype = None
    loaded.run_stem.argtypes = [pointer] * 4 + [integer, pointer]
    return loaded


def multiplies_bfloat16() -> bool:
    """Whether this processor does, and the compiler knows its instructions."""
    code = library(torch.float32)
    return code is not None and bool(code.multiplies_bfloat16())


def check_layout(
    code: ctypes.CDLL,
    structures: Sequence[type[ctypes.Structure]] = structs.STRUCTS,
    constants: Mapping[str, int] = CONSTANTS,
) -> None:
    """Raises RuntimeError, with the name of what differs, unless ``code`` has the same layout.

    See :func:`dyncore.native.check_layout`.
    """
    check_structs(code, structures, constants, what="the compiled engine")
