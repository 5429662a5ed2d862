"""Results in which torch sees the tensors, e.g. ``torch.export`` and FSDP."""

from collections.abc import Callable, Iterable
from typing import Any

from torch.utils._pytree import MappingKey, register_pytree_node


def register_result(cls: type, make: Callable[[Iterable[Any]], Any]) -> None:
    """Let pytrees open what iterates over all that it holds, and is made of that again.

    Named tuples are opened without, but an exported program that gives one could not be saved.
    """

    def flatten(result: Iterable[Any]) -> tuple[list[Any], None]:
        return list(result), None

    def flatten_with_keys(result: Iterable[Any]) -> tuple[list[tuple[Any, Any]], None]:
        held = list(result)
        names = getattr(cls, "_fields", range(len(held)))
        return [(MappingKey(name), part) for name, part in zip(names, held, strict=True)], None

    register_pytree_node(
        cls,
        flatten,
        lambda parts, _: make(parts),
        serialized_type_name=f"dyncore.{cls.__name__}",
        flatten_with_keys_fn=flatten_with_keys,
    )
