"""Whether a file of weights is the network that a configuration describes, before it is built."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from dyncore.files import printable
from dyncore.hub import ModelFileError
from dyncore.network._folder import Layout

MAX_SUM = 2**20
"""Of all whole numbers in a network's configuration: depths, widths, paths, classes, ..."""
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""What a whole model's floating-point tensors may be."""


def check_sizes(network: Any) -> None:
    """Raise ValueError for numbers that no network has, before lists of that length are made."""
    numbers = dict(_numbers(network, "network"))
    if sum(map(abs, numbers.values())) > MAX_SUM:
        name, greatest = max(numbers.items(), key=lambda item: abs(item[1]))
        raise ValueError(
            f"{name} is {greatest:.3g}: the sizes of a network add up to at most {MAX_SUM}"
        )


def _numbers(value: Any, name: str) -> Iterator[tuple[str, int]]:
    if type(value) is int:
        yield name, max(-(10**300), min(value, 10**300))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}.{printable(key)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{name}[{index}]")


def check_layout(build: Callable[[], nn.Module], layout: Layout, source: str) -> torch.dtype:
    """The floating-point type of weights with this layout, if they are the network's.

    The network is built without memory (on the meta device) and with at most as many parameters as
    there are weights. Raises :class:`dyncore.ModelFileError` that names each tensor at fault.
    """
    try:
        with _at_most(len(layout)), torch.device("meta"):
            expected = layout_of(build().state_dict())
    except _TooManyParametersError:
        raise ModelFileError(
            f"the weights of {source} do not fit the model: config.json describes more than the "
            f"{len(layout)} tensors of the file"
        ) from None
    except Exception as error:  # whatever a part makes of a stranger's numbers
        raise ModelFileError(
            f"config.json of {source} describes a network that cannot be built: {str(error)[:1000]}"
        ) from error
    dtype = _dtype(layout, expected, source)
    wanted = {
        name: (dtype if kind.is_floating_point else kind, shape)
        for name, (kind, shape) in expected.items()
    }
    require(differences(layout, wanted), source)
    return dtype


def layout_of(tensors: Mapping[str, Tensor]) -> Layout:
    """Type and shape of every tensor."""
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


def differences(found: Layout, wanted: Layout) -> list[str]:
    """What is wrong with the tensors of a file, a sentence each."""
    problems = [f"{name} is missing" for name in wanted.keys() - found.keys()]
    problems += [f"{printable(name)} is not in the model" for name in found.keys() - wanted.keys()]
    for name in found.keys() & wanted.keys():
        (dtype, shape), (wanted_dtype, wanted_shape) = found[name], wanted[name]
        if shape != wanted_shape:
            problems.append(f"{name} has shape {shape}, expected {wanted_shape}")
        elif dtype != wanted_dtype:
            problems.append(f"{name} has type {dtype}, expected {wanted_dtype}")
    return problems


def require(problems: Iterable[str], source: str, what: str = "weights") -> None:
    """Raise :class:`dyncore.ModelFileError` with the first problems, if there are any."""
    listed = sorted(problems)
    if listed:
        more = f"; and {len(listed) - 8} more" if len(listed) > 8 else ""
        raise ModelFileError(
            f"the {what} of {source} do not fit the model: {'; '.join(listed[:8])}{more}"
        )


def _dtype(layout: Layout, expected: Layout, source: str) -> torch.dtype:
    """The one type of the file's floating-point tensors."""
    shared = layout.keys() & expected.keys()
    dtypes = {layout[name][0] for name in shared if expected[name][0].is_floating_point}
    if len(dtypes) > 1:
        listed = ", ".join(sorted(map(str, dtypes)))
        raise ModelFileError(
            f"the weights of {source} are of several types ({listed}): convert the model to one, "
            "e.g. model.float(), and save it again"
        )
    dtype = dtypes.pop() if dtypes else torch.float32
    return dtype if dtype in DTYPES else torch.float32


class _TooManyParametersError(Exception):
    """A network that is larger than its file."""


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """Stop this thread's building of modules at the first parameter too many."""
    thread, count = threading.get_ident(), 0

    def check(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        if parameter is not None and threading.get_ident() == thread:
            count += 1
            if count > parameters:
                raise _TooManyParametersError

    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()
