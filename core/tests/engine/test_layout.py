"""Python's structs are those of the compiled code, and a difference is found when it is loaded."""

import ctypes

import pytest
import torch

from dyncore.engine.native import _library
from dyncore.engine.native import _structs as structs

pytestmark = pytest.mark.needs_compiler


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float", "double"])
def code(request) -> ctypes.CDLL:
    return _library.library(request.param)


def broken(structure: type[ctypes.Structure], fields) -> type[ctypes.Structure]:
    return type(structure.__name__, (ctypes.Structure,), {"_fields_": tuple(fields)})


def swapped(fields):
    first, second, *rest = fields
    return second, first, *rest


def without_last(fields):
    return fields[:-1]


def with_another(fields):
    return (*fields, ("another", ctypes.c_int32))


def renamed(fields):
    (_, kind), *rest = fields
    return ("other", kind), *rest


def wider(fields):
    """The last 4-byte number becomes one of 8."""
    at = max(n for n, (_, kind) in enumerate(fields) if kind is ctypes.c_int32)
    return (*fields[:at], (fields[at][0], ctypes.c_int64), *fields[at + 1 :])


@pytest.mark.parametrize("change", [swapped, without_last, with_another, renamed, wider])
@pytest.mark.parametrize("structure", [structs.Map, structs.Block, structs.Batch])
def test_a_struct_that_differs_is_named(code, structure, change):
    others = [s for s in structs.STRUCTS if s is not structure]
    changed = broken(structure, change(structure._fields_))
    with pytest.raises(RuntimeError, match=f"^{structure.__name__} of the compiled engine"):
        _library.check_layout(code, [*others, changed])


def test_a_struct_that_is_missing_here_is_named(code):
    with pytest.raises(RuntimeError, match=r"^Batch of the compiled engine .* and None here"):
        _library.check_layout(code, structs.STRUCTS[:-1])


def test_a_constant_that_differs_is_named(code):
    with pytest.raises(RuntimeError, match=r"^MAX_PATHS of the compiled engine"):
        _library.check_layout(code, constants=_library.CONSTANTS | {"MAX_PATHS": 65})


def test_every_struct_is_compared():
    declared = {
        value
        for value in vars(structs).values()
        if isinstance(value, type) and issubclass(value, ctypes.Structure)
    }
    assert declared == set(structs.STRUCTS)


def test_the_check_runs_when_the_library_is_loaded(monkeypatch):
    monkeypatch.setitem(_library.CONSTANTS, "MAX_EARLIER", 63)
    _library.library.cache_clear()
    with pytest.raises(RuntimeError, match=r"^MAX_EARLIER"):
        _library.library(torch.float32)
    _library.library.cache_clear()
