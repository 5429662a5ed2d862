"""Model folders: what is in them, how they are written and read."""

from dyncore.hub._folder import (
    ModelFileError,
    find_folder,
    read_config,
    read_tensors,
    save_folder,
)
from dyncore.hub._provider import method_provider, provider

__all__ = [
    "ModelFileError",
    "find_folder",
    "method_provider",
    "provider",
    "read_config",
    "read_tensors",
    "save_folder",
]
