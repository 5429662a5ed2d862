"""Names of weights without those of what wrapped the network when they were saved."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

ANYWHERE = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""``torch.compile``, FSDP and activation checkpointing wrap the network or parts of it."""
_AROUND = "module"
"""DataParallel and DistributedDataParallel wrap it as a whole."""


def unwrapped(named: Mapping[str, T]) -> dict[str, T]:
    """The same under the names that the network itself gives them.

    Left as they are where two would get one name, or where not all have ``module`` in front.
    """
    names = {name: [part for part in name.split(".") if part not in ANYWHERE] for name in named}
    while names and all(len(parts) > 1 and parts[0] == _AROUND for parts in names.values()):
        names = {name: parts[1:] for name, parts in names.items()}
    plain = {".".join(parts): named[name] for name, parts in names.items()}
    return plain if len(plain) == len(named) else dict(named)
