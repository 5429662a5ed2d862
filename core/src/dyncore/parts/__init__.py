"""Parts by name: what installed packages register, and configurations read strictly."""

from dyncore.parts._decode import as_saved, decode, part_config, register_parts
from dyncore.parts._entry_points import RegistryError, look_up, package_in, registered
from dyncore.parts._provider import method_provider, provider

__all__ = [
    "RegistryError",
    "as_saved",
    "decode",
    "look_up",
    "method_provider",
    "package_in",
    "part_config",
    "provider",
    "register_parts",
    "registered",
]
