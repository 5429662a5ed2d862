"""What of a network its files could not hold, though names and shapes of its weights are right."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dyncore.network._wrappers import ANYWHERE

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""They run, or hand out, whatever is put into them."""
_WITHOUT_EFFECT = {"inplace", "device", "dtype", "info"}
"""Settings that change no value."""


def unsavable(tensors: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each tensor of a state that safetensors would not give back as it is."""
    seen: dict[int, str] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            yield f"{name} is {_kind(tensor)}, no tensor"
        elif hasattr(tensor, "full_tensor"):
            yield (
                f"{name} is sharded: on every process, gather "
                "torch.distributed.checkpoint.state_dict.get_model_state_dict(model, "
                "options=StateDictOptions(full_state_dict=True)), and on one load that into "
                "DynamicNetwork(model.config, model.info) and save it"
            )
        elif type(tensor) not in (Tensor, nn.Parameter):
            yield f"{name} is {_kind(tensor)}: torch.save can keep it"
        elif tensor.layout != torch.strided:
            yield f"{name} is {tensor.layout}: make it dense"
        elif tensor.is_meta:
            yield f"{name} is on the meta device: it has no values (offloaded, or never loaded)"
        elif tensor.is_floating_point() and not tensor.isfinite().all():
            yield f"{name} holds NaN or infinite values"
        elif tensor.numel() and (other := seen.setdefault(tensor.data_ptr(), name)) != name:
            yield f"{name} and {other} are one tensor, and two would come back"


def replaced(network: nn.Module, built: nn.Module) -> Iterator[str]:
    """A sentence for each module, or setting of one, that ``built`` has otherwise.

    ``built`` is what the configuration of ``network`` describes. A module may be synchronised over
    processes, wrapped for activation checkpointing, or have hooks: those are no part of a model.
    """
    ours, theirs = _modules(network), _modules(built)
    for name, wanted in theirs.items():
        if name not in ours:
            yield f"{name} is missing, it is {_kind(wanted)}"
        elif name:
            yield from _differences(name, ours[name], wanted)
    for name in ours.keys() - theirs.keys():
        parent = name.rpartition(".")[0]
        if isinstance(ours.get(parent), _CONTAINERS):
            yield f"{name} is {_kind(ours[name])}, which is not in the model"


def _modules(network: nn.Module) -> dict[str, nn.Module]:
    """By the names without those of wrappers; what is wrapped comes after what wraps it."""
    return {
        ".".join(part for part in name.split(".") if part not in ANYWHERE): module
        for name, module in network.named_modules(remove_duplicate=False)
    }


def _differences(name: str, found: nn.Module, wanted: nn.Module) -> Iterator[str]:
    if "forward" in vars(found):
        yield f"{name} has a forward of its own"
    synchronised = isinstance(found, nn.SyncBatchNorm) and isinstance(wanted, nn.BatchNorm2d)
    if type(found) is not type(wanted) and not synchronised:
        yield f"{name} is {_kind(found)}, expected {_kind(wanted)}"
        return
    for setting, value in _settings(wanted).items():
        ours = getattr(found, setting, None)
        if not _same(ours, value):
            yield f"{name}.{setting} is {_shown(ours)}, expected {_shown(value)}"


def _settings(module: nn.Module) -> dict[str, Any]:
    """What its class is told when one is made, and keeps by that name."""
    told = inspect.signature(type(module).__init__).parameters
    own = vars(module)
    return {name: own[name] for name in told if name in own and name not in _WITHOUT_EFFECT}


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two settings are alike; what cannot be compared counts as alike."""
    if isinstance(theirs, bool | int | float | str | torch.dtype | None):
        return bool(ours == theirs) or ours == (theirs,) * 2
    if isinstance(theirs, nn.Module | Tensor):
        return True
    if isinstance(theirs, partial):
        return isinstance(ours, partial) and _same(
            (ours.func, ours.args, tuple(ours.keywords.items())),
            (theirs.func, theirs.args, tuple(theirs.keywords.items())),
        )
    if callable(theirs):
        return _named(ours) == _named(theirs)
    if isinstance(theirs, tuple | list):
        if isinstance(ours, int | float):
            return all(ours == value for value in theirs)
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if is_dataclass(theirs):
        return type(ours) is type(theirs) and all(
            _same(getattr(ours, field.name), getattr(theirs, field.name))
            for field in fields(theirs)
        )
    return True


def _named(function: Any) -> tuple[Any, ...]:
    """Two functions of one name may be made by two calls of what makes them."""
    return tuple(getattr(function, name, None) for name in ("__module__", "__qualname__"))


def _kind(value: object) -> str:
    return type(value).__name__


def _shown(value: object) -> str:
    return getattr(value, "__qualname__", None) or repr(value)[:80]
