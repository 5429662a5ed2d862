"""A saved model: ``config.json`` and ``model.safetensors`` in one folder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
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
    """Write a model folder. Each file is complete before it gets its name."""
    target = Path(folder)
    text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    target.mkdir(parents=True, exist_ok=True)
    temporary = target / f".{WEIGHTS_FILE}.{os.getpid()}"
    try:
        save_file({k: t.contiguous() for k, t in tensors.items()}, temporary, {"format": "pt"})
        os.replace(temporary, target / WEIGHTS_FILE)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target / CONFIG_FILE)
    finally:
        temporary.unlink(missing_ok=True)


def find_folder(source: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The local folder of a model: a path, or ``org/name`` fetched from the Hub."""
    path = Path(source)
    if path.is_dir():
        return path
    name = os.fspath(source)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        files = [CONFIG_FILE, WEIGHTS_FILE]
        return Path(snapshot_download(name, revision=revision, allow_patterns=files))
    raise FileNotFoundError(
        f"no folder {name!r}: give a folder written by save_pretrained, or a Hub name 'org/name'"
    )


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
