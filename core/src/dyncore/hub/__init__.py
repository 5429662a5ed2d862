"""Models on the Hub: fetched and checked whenever they are read, pushed with a card."""

from dyncore.hub._errors import HubError, ModelFileError
from dyncore.hub._files import CASCADE_FILE, CONFIG_FILE, MEMBERS, WEIGHTS_FILE
from dyncore.hub._find import find_folder
from dyncore.hub._list import models_on_hub
from dyncore.hub._push import push_folder
from dyncore.hub._pushed import Pushed

__all__ = [
    "CASCADE_FILE",
    "CONFIG_FILE",
    "MEMBERS",
    "WEIGHTS_FILE",
    "HubError",
    "ModelFileError",
    "Pushed",
    "find_folder",
    "models_on_hub",
    "push_folder",
]
