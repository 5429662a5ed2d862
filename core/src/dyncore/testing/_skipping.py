"""Skipping gives the masked network's answer, at the cost that the table says."""

from functools import partial
from pathlib import Path

import torch

from dyncore.cost import cost_table, count_macs
from dyncore.engine import Engine
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, run_skipped
from dyncore.recipes import Phase
from dyncore.testing._build import BATCH, eval_images, eval_network
from dyncore.testing._case import Case
from dyncore.testing._compare import expect_close, expect_same_answer, expect_same_path
from dyncore.training import draw_decisions

UNIFORM = Phase(name="uniform", epochs=1.0, paths="uniform")
MAX_IMAGES = 33
"""Images of the largest batch: one more than 32, so that something is left over."""


@torch.no_grad()
def check_skipping(case: Case, folder: Path) -> None:
    """The masked and the skipped form agree, on routed paths and on random forced ones."""
    model, images = eval_network(case), eval_images(case)
    routed = model(images)
    expect_same_answer(run_skipped(model, images), routed, f"{case}: skipped and masked")
    expect_same_answer(
        model(images, path=routed.path), routed, f"{case}: the routed path when it is forced"
    )
    for seed, path in enumerate(_random_paths(model)):
        expect_same_answer(
            run_skipped(model, images, path=path),
            model(images, path=path),
            f"{case}: skipped and masked on random path {seed}",
        )


@torch.no_grad()
def check_engine(case: Case, folder: Path) -> None:
    """The engine and the masked form agree, on routed paths and on random forced ones.

    At every batch size up to ``MAX_IMAGES``.
    """
    model, images = eval_network(case), eval_images(case)
    engine = Engine(model, images, threads=2)
    many = torch.arange(MAX_IMAGES) % len(images)
    for path in (None, *_random_paths(model)):
        what = f"{case}: engine and masked {'routed' if path is None else 'forced'}"
        expected = model(images, path=path)
        for count in range(1, MAX_IMAGES + 1):
            some = many[:count]
            found = engine(images[some], path=None if path is None else path.images(some))
            expect_same_path(found.path, expected.path.images(some), f"{what}, batch {count}")
            expect_close(found.logits, expected.logits[some], f"{what}, batch {count}: logits")


@torch.no_grad()
def check_macs(case: Case, folder: Path) -> None:
    """What the skipped form computes for an image is what ``table.macs`` counts for its path."""
    model, images = eval_network(case), eval_images(case)
    table = cost_table(model, (3, case.image_size, case.image_size))
    routers = sum(block.router for block in table.blocks)
    routed = model(images).path
    for path, forced in [(routed, False), *((path, True) for path in _random_paths(model))]:
        counted = table.macs(path) - (routers if forced else 0)  # no router runs on a forced path
        for image in range(len(images)):
            own = slice(image, image + 1)
            given = path.images(own) if forced else None
            executed = count_macs(partial(run_skipped, model, images[own], path=given))
            if executed != int(counted[image]):
                raise AssertionError(
                    f"{case}: image {image} executed {executed:,} MACs on a "
                    f"{'forced' if forced else 'routed'} path, the cost table counts "
                    f"{int(counted[image]):,}: is there a layer outside of the path's ``layers``, "
                    "or one that depends on the image?"
                )


def _random_paths(model: DynamicNetwork) -> list[ExecutionPath]:
    """Random decisions per path and per gated channel; none for a static network."""
    paths = []
    for seed in range(2):
        _, on = draw_decisions(model, UNIFORM, seed=seed, step=0, batch=BATCH, share=slice(None))
        if on is None:
            return []
        channels = model.channels_per_block
        generator = torch.Generator().manual_seed(seed)
        channel_on = torch.rand(BATCH, sum(channels), generator=generator) < 0.5
        gated = channel_on if sum(channels) else None
        path = ExecutionPath.of(on, model.paths_per_block, gated, channels, dtype=torch.float64)
        paths.append(path)
    return paths
