"""Randomness as a function of (seed, step, index in the global batch)."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from dyncore.data import mix_seed
from dyncore.network import DynamicNetwork
from dyncore.recipes import Phase


def _generator(device: torch.device, *words: int | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(mix_seed(*words))


def seed_modules(seed: int, step: int, rank: int) -> None:
    """Seed what modules draw from torch's own generators: dropout, for this process's share."""
    torch.manual_seed(mix_seed("modules", seed, step, rank))


def draw_decisions(
    model: DynamicNetwork, phase: Phase, *, seed: int, step: int, batch: int, share: slice
) -> tuple[Tensor | None, Tensor | None]:
    """Gate noise, or forced paths, for this process's share of a global batch of ``batch``."""
    if not model.gates:
        return None, None
    if phase.paths == "uniform":
        where: dict[str, Any] = {"seed": seed, "step": step, "batch": batch, "share": share}
        return None, draw_uniform_paths(model, **where, rates=phase.rates)
    return draw_noise(model, seed=seed, step=step, batch=batch, share=share), None


def draw_noise(
    model: DynamicNetwork, *, seed: int, step: int, batch: int, share: slice
) -> Tensor | None:
    """This process's share of the gate noise of a global batch."""
    device = next(model.parameters()).device
    noise = model.draw_noise(batch, _generator(device, "noise", seed, step))
    return None if noise is None else noise[share]


def draw_uniform_paths(
    model: DynamicNetwork,
    *,
    seed: int,
    step: int,
    batch: int,
    share: slice,
    rates: tuple[float, ...] = (),
) -> Bool[Tensor, "batch total"]:
    """This process's share of the random paths of a global batch."""
    device = next(model.parameters()).device
    return model.draw_paths(batch, _generator(device, "paths", seed, step), rates)[share]


def paths_of_test(
    model: DynamicNetwork, rates: tuple[float, ...], index: Int[Tensor, "batch"]
) -> Bool[Tensor, "batch total"]:
    """The random paths on which a network that is routed at random is evaluated: always the same.

    They follow from the number of the batch's first image.
    """
    generator = _generator(index.device, "test paths", int(index[0]))
    return model.draw_paths(len(index), generator, rates)
