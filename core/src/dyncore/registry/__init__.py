"""Methods, parts and models by name."""

from dyncore.registry._decode import decode, part_config, register_parts
from dyncore.registry._entry_points import RegistryError, registered, unknown
from dyncore.registry._method import Method
from dyncore.registry._models import create_model, list_methods, list_models, model_config
from dyncore.registry._pretrained import from_pretrained, load_weights
from dyncore.registry._transforms import transforms

__all__ = [
    "Method",
    "RegistryError",
    "create_model",
    "decode",
    "from_pretrained",
    "list_methods",
    "list_models",
    "load_weights",
    "model_config",
    "part_config",
    "register_parts",
    "registered",
    "transforms",
    "unknown",
]
