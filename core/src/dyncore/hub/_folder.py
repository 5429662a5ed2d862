"""A saved model: ``config.json`` and ``model.safetensors`` in one folder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


class ModelFileError(ValueError):
    """A saved model that cannot be used; the message names the file and what to do."""


def save_folder(
    folder: str | os.PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a model folder. Both files are complete before either gets its name."""
    target = Path(folder)
    text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    target.mkdir(parents=True, exist_ok=True)
    temporary = {file: target / f".{file}.{os.getpid()}" for file in (WEIGHTS_FILE, CONFIG_FILE)}
    try:
        complete = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(complete, temporary[WEIGHTS_FILE], {"format": "pt"})
        temporary[CONFIG_FILE].write_text(text, encoding="utf-8")
        for file, written in temporary.items():
            os.replace(written, target / file)
    finally:
        for left_over in temporary.values():
            left_over.unlink(missing_ok=True)


def find_folder(source: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The local folder of a model: a path, or ``org/name`` fetched from the Hub.

    Raises FileNotFoundError when neither is there.
    """
    path = Path(source)
    if path.is_dir():
        return path
    name = os.fspath(source)
    expected = "give a folder written by save_pretrained, or a Hub name 'org/name'"
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise FileNotFoundError(f"no folder {name!r}: {expected}")
    try:
        files = [CONFIG_FILE, WEIGHTS_FILE]
        return Path(snapshot_download(name, revision=revision, allow_patterns=files))
    except (OSError, HFValidationError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise FileNotFoundError(
            f"no folder {name!r}, and the Hub gives no such model{at}: {expected}. "
            "A model of the Hub needs a connection the first time; if it is private, log in with "
            f"'hf auth login'. The Hub's client says: {str(error).partition(chr(10))[0]}"
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed ``config.json``. Raises :class:`ModelFileError` if it is missing or damaged."""
    file = folder / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFileError(
            f"{file} is missing: is this a folder written by save_pretrained?"
        ) from error
    except ValueError as error:
        raise ModelFileError(f"{file} is not valid JSON ({error}): save the model again") from error
    if not isinstance(config, dict):
        raise ModelFileError(f"{file} holds {type(config).__name__}, expected a JSON object")
    return config


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The weights. Raises :class:`ModelFileError` if the file is missing or damaged."""
    file = folder / WEIGHTS_FILE
    try:
        return load_file(file)
    except FileNotFoundError as error:
        raise ModelFileError(f"{file} is missing: the model was not saved completely") from error
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{file} cannot be read ({error}): fetch or save it again") from error
