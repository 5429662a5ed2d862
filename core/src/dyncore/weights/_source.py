"""Tensors from where people keep them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dyncore.hub import ModelFileError, find_folder
from dyncore.network import read_tensors
from dyncore.weights._library import build_library, named_library

PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
"""Files of ``torch.save``, of which tensors and plain values alone are read: no code runs."""
SAFETENSORS = ".safetensors"
INSIDE = ("state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model", "module")
"""Keys under which a checkpoint has its weights beside other things, best first."""


def read_source(source: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights of a file or of a model folder, local or on the Hub.

    Raises FileNotFoundError where there is neither, and :class:`ModelFileError` for a file that
    cannot be read, holds no weights, or asks to run code.
    """
    path = Path(source)
    if path.suffix not in (*PICKLES, SAFETENSORS):
        return read_tensors(find_folder(source))
    if not path.is_file():
        raise FileNotFoundError(f"no file {os.fspath(source)!r}")
    try:
        if path.suffix == SAFETENSORS:
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a reader makes of a stranger's file
        if "unsupported global" in str(error).lower():
            raise ModelFileError(
                f"{path} holds more than tensors and plain values, and reading it would run its "
                "code: save model.state_dict() alone"
            ) from error
        raise ModelFileError(f"{path} cannot be read ({str(error)[:200]})") from error
    return tensors_in(content, os.fspath(path))


def check_weights(source: str) -> None:
    """Raise, as :func:`load_static` does, where there are no such weights; nothing is read."""
    if (library := named_library(source)) is not None:
        with torch.device("meta"):
            build_library(library, pretrained=False)
    elif Path(source).suffix not in (*PICKLES, SAFETENSORS):
        find_folder(source)
    elif not Path(source).is_file():
        raise FileNotFoundError(f"no file {source!r}")


def tensors_in(content: Any, source: str) -> dict[str, Tensor]:
    """The weights in what a checkpoint holds. Raises :class:`ModelFileError` if there are none."""
    if isinstance(content, nn.Module):
        return dict(content.state_dict())
    while isinstance(content, Mapping):
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if len(tensors) > 1:
            return tensors
        inner = [key for key in INSIDE if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = content[inner[0]]
    keys = list(content)[:5] if isinstance(content, Mapping) else type(content).__name__
    raise ModelFileError(f"{source} holds no weights by name: it has {keys}")
