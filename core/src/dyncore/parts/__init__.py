"""Parts by name: what installed packages register, and configurations read strictly."""

from dyncore.parts._decode import decode, part_config, register_parts
from dyncore.parts._entry_points import RegistryError, look_up, registered
from dyncore.parts._provider import method_provider, provider

__all__ = [
    "RegistryError",
    "decode",
    "look_up",
    "method_provider",
    "part_config",
    "provider",
    "register_parts",
    "registered",
]
