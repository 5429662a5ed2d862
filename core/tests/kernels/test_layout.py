"""The kernels' structs are those of the compiled code; a difference is found when it is loaded."""

import ctypes

import pytest
import torch

from dyncore.kernels import _compiled_norm, _grouped
from dyncore.native import check_layout

pytestmark = pytest.mark.needs_compiler


def libraries() -> list[tuple[ctypes.CDLL, tuple[type[ctypes.Structure], ...]]]:
    norms = _compiled_norm.library(torch.float64)
    return [(norms, _compiled_norm.STRUCTS), (_grouped.library(), (_grouped._Shape,))]


def test_a_struct_that_differs_is_named():
    for code, structures in libraries():
        for structure in structures:
            (first, kind), *rest = structure._fields_
            name = structure.__name__
            for fields in ([("other", kind), *rest], [*rest, (first, ctypes.c_int16)], rest[:-1]):
                changed = type(name, (ctypes.Structure,), {"_fields_": fields})
                others = [each for each in structures if each is not structure]
                with pytest.raises(RuntimeError, match=f"^{name[1:]} of it does not fit"):
                    check_layout(code, [*others, changed], {}, what="it")


@pytest.mark.parametrize(
    ("module", "load"),
    [
        (_compiled_norm, lambda: _compiled_norm.library(torch.float32)),
        (_grouped, lambda: _grouped.library()),
    ],
)
def test_the_check_runs_when_the_library_is_loaded(monkeypatch, module, load):
    def refuse(*_, what: str, **__) -> None:
        raise RuntimeError(what)

    module.library.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(module, "check_layout", refuse)
        with pytest.raises(RuntimeError, match="the compiled"):
            load()
    module.library.cache_clear()
    assert load() is not None
