"""Which budget takes so many milliseconds on this machine."""

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import torch
from torch import Tensor

from dyncore.cascade import milliseconds
from dyncore.engine._backend import Backend
from dyncore.engine._executor import Part
from dyncore.gating import ExecutionPath
from dyncore.network import Dial, DialSetting, DynamicNetwork

TIMED = 6
"""Settings of the dial that are timed; times between them are interpolated."""
DRAWS = 32
"""Paths of each."""


def budget_for(
    ms: float, dial: Dial, model: DynamicNetwork, example: Tensor, backend: Backend
) -> float:
    """The budget at which an image takes ``ms``, at batch 1, on average.

    A setting's time is that of forced paths, each path on as often as the setting runs it, plus
    what it takes to decide, less what it takes to be told: the example images with their own
    decisions and with the same ones forced. Raises ValueError for less than the least time.
    """
    places = np.linspace(0, len(dial.settings) - 1, TIMED).round().astype(int)
    settings = [dial.settings[place] for place in sorted({*places.tolist()})]
    times = np.maximum.accumulate(_times(settings, model, example, backend))
    if not ms >= times[0]:
        raise ValueError(
            f"{ms:g} ms is less than an image takes here with almost nothing on, {times[0]:.3g} ms"
        )
    cost = np.interp(ms, times, [setting.cost for setting in settings])
    return float(cost) / dial.static_cost


def _times(
    settings: Sequence[DialSetting], model: DynamicNetwork, example: Tensor, backend: Backend
) -> list[float]:
    """Milliseconds per image of each setting."""
    images = [example[n % len(example)][None] for n in range(DRAWS)]
    told = cycle([ExecutionPath(backend(image, None)[0].decisions) for image in images])
    subjects: dict[str, Callable[[Tensor], list[Part]]] = {
        "deciding": lambda image: backend(image, None),
        "told": lambda image: backend(image, next(told)),
    }
    for number, setting in enumerate(settings):
        subjects[str(number)] = _forced(backend, _drawn(setting, model, example.dtype))
    deciding, given, *forced = milliseconds(subjects, images).values()
    return [time + deciding - given for time in forced]


def _forced(backend: Backend, paths: Sequence[ExecutionPath]) -> Callable[[Tensor], list[Part]]:
    turns = cycle(paths)
    return lambda image: backend(image, next(turns))


def _drawn(setting: DialSetting, model: DynamicNetwork, dtype: torch.dtype) -> list[ExecutionPath]:
    """Paths of one image, each part of them on with the rate of the setting; always the same."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    on = torch.rand(DRAWS, len(setting.rates), generator=generator) < torch.tensor(setting.rates)
    channel_on = None
    if setting.channel_rates:
        widths = model.channels_per_block
        rates = torch.tensor(setting.channel_rates).repeat_interleave(torch.tensor(widths))
        channel_on = torch.rand(DRAWS, len(rates), generator=generator) < rates
    whole = ExecutionPath.of(
        on,
        model.paths_per_block,
        channel_on,
        None if channel_on is None else model.channels_per_block,
        dtype=dtype,
    )
    whole = whole.map(lambda values: values.to(device))
    return [whole.images(slice(n, n + 1)) for n in range(DRAWS)]
