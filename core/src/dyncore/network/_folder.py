"""A saved model: ``config.json`` and ``model.safetensors`` in one folder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dyncore.files import MAX_BYTES, parse_json, printable, replacing
from dyncore.hub import CASCADE_FILE, CONFIG_FILE, MEMBERS, WEIGHTS_FILE, ModelFileError
from dyncore.network._wrappers import unwrapped

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""By the name that safetensors gives them."""

Layout = dict[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape of every tensor, by name."""


def save_folder(
    folder: str | os.PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a model folder. Both files are complete before either gets its name.

    Raises FileExistsError for the folder of a cascade, which would be loaded in the model's place.
    """
    target = Path(folder)
    if (target / CASCADE_FILE).exists():
        raise FileExistsError(f"{target} holds a cascade: choose another folder, or delete it")
    text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    target.mkdir(parents=True, exist_ok=True)
    with (
        replacing(target / CONFIG_FILE) as config_file,
        replacing(target / WEIGHTS_FILE) as weights,
    ):
        complete = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(complete, weights, {"format": "pt"})
        config_file.write_text(text, encoding="utf-8")


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed ``config.json``. Raises :class:`ModelFileError` if it is missing or damaged."""
    file = folder / CONFIG_FILE
    try:
        with file.open("rb") as opened:
            config = parse_json(opened.read(MAX_BYTES + 1))
    except FileNotFoundError as error:
        if (folder / CASCADE_FILE).exists():
            raise ModelFileError(
                f"{folder} is a cascade, not one network: dyncore.from_pretrained loads it; its "
                f"networks are {folder / MEMBERS / '0'} and others"
            ) from error
        raise ModelFileError(
            f"{file} is missing: is this a folder written by save_pretrained?"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read ({error}): fetch it again") from error
    except ValueError as error:
        raise ModelFileError(f"{file} is not valid JSON ({error}): save the model again") from error
    if not isinstance(config, dict):
        raise ModelFileError(f"{file} holds {type(config).__name__}, expected a JSON object")
    return config


def read_layout(folder: Path) -> Layout:
    """Types and shapes of the weights, from the file's header alone. Raises as read_tensors().

    Their names are those of the bare network: see :func:`unwrapped`.
    """
    file = folder / WEIGHTS_FILE
    layout: Layout = {}
    try:
        _check_header(file)
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                tensor = opened.get_slice(name)
                dtype = tensor.get_dtype()
                if dtype not in _DTYPES:
                    raise ModelFileError(
                        f"{file}: {printable(name)} has type {dtype}; a model's tensors are "
                        f"one of {', '.join(_DTYPES)}"
                    )
                layout[name] = (_DTYPES[dtype], tuple(tensor.get_shape()))
    except FileNotFoundError as error:
        raise ModelFileError(f"{file} is missing: the model was not saved completely") from error
    except (SafetensorError, OSError, _HeaderError) as error:
        raise ModelFileError(f"{file} cannot be read ({error}): fetch or save it again") from error
    return unwrapped(layout)


class _HeaderError(Exception):
    """A header that safetensors would read, with one of two meanings."""


def _check_header(file: Path) -> None:
    """Raise _HeaderError for a header that is no strict JSON, e.g. if a tensor stands twice."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = opened.read(min(length, MAX_BYTES + 1))
    try:
        parse_json(header)
    except ValueError as error:
        raise _HeaderError(f"its header: {error}") from error


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The weights. Raises :class:`ModelFileError` if the file is missing or damaged."""
    read_layout(folder)
    file = folder / WEIGHTS_FILE
    try:
        return unwrapped(load_file(file))
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{file} cannot be read ({error}): fetch or save it again") from error
