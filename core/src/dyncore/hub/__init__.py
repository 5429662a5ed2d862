"""Model folders on disk and on the Hub: what is in them, how they are written, read and checked."""

from dyncore.hub._errors import HubError, ModelFileError
from dyncore.hub._fetch import find_folder
from dyncore.hub._folder import (
    Layout,
    printable,
    read_config,
    read_layout,
    read_tensors,
    save_folder,
)
from dyncore.hub._json import parse_json
from dyncore.hub._names import check_folder_name
from dyncore.hub._provider import method_provider, provider
from dyncore.hub._push import push_folder
from dyncore.hub._replacing import replacing

__all__ = [
    "HubError",
    "Layout",
    "ModelFileError",
    "check_folder_name",
    "find_folder",
    "method_provider",
    "parse_json",
    "printable",
    "provider",
    "push_folder",
    "read_config",
    "read_layout",
    "read_tensors",
    "replacing",
    "save_folder",
]
