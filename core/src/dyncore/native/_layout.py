"""Whether the structs that Python fills are those of the compiled code (``entries.h``)."""

import ctypes
from collections.abc import Mapping, Sequence


class _Entry(ctypes.Structure):
    """See entries.h: a struct's field, a whole struct (no field), or a constant (no struct)."""

    _fields_ = (
        ("struct", ctypes.c_char_p),
        ("field", ctypes.c_char_p),
        ("offset", ctypes.c_int64),
        ("size", ctypes.c_int64),
    )


def check_layout(
    code: ctypes.CDLL,
    structures: Sequence[type[ctypes.Structure]],
    constants: Mapping[str, int],
    *,
    what: str,
) -> None:
    """Raises RuntimeError, with the name of what differs, unless ``code`` has the same layout.

    Compared are each struct's size, the names, places and sizes of its fields, and constants; a
    leading underscore of a name is Python's own. ``what`` is how the code is called.
    """
    compiled = _compiled_layout(code)
    ours: dict[str, object] = {
        structure.__name__.lstrip("_"): {
            "": (0, ctypes.sizeof(structure)),
            **{
                name: (getattr(structure, name).offset, getattr(structure, name).size)
                for name, *_ in structure._fields_
            },
        }
        for structure in structures
    }
    ours |= {name: {"": (int(value), 0)} for name, value in constants.items()}
    for name in sorted(compiled.keys() | ours.keys()):
        if compiled.get(name) != ours.get(name):
            raise RuntimeError(
                f"{name} of {what} does not fit Python's: it is {compiled.get(name)} "
                f"there (field: place, size) and {ours.get(name)} here"
            )


def _compiled_layout(code: ctypes.CDLL) -> dict[str, dict[str, tuple[int, int]]]:
    code.layout_entries.restype = ctypes.c_int64
    code.layout.restype = ctypes.POINTER(_Entry * code.layout_entries())
    layout: dict[str, dict[str, tuple[int, int]]] = {}
    for entry in code.layout().contents:
        layout.setdefault(entry.struct.decode(), {})[entry.field.decode()] = (
            entry.offset,
            entry.size,
        )
    return layout
