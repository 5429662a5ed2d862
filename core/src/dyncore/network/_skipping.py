"""The second plain form of running a network: each image runs what it chose, as modules do."""

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import GatedBlock
from dyncore.gating import Decision, ExecutionPath, is_plain
from dyncore.network._independent import check_independent
from dyncore.network._network import DynamicNetwork
from dyncore.network._output import Output
from dyncore.network._site import Site
from dyncore.network._walk import run_masked


@torch.no_grad()
def run_skipped(
    model: DynamicNetwork,
    images: Float[Tensor, "batch channel height width"],
    *,
    path: ExecutionPath | None = None,
) -> Output:
    """The same answer as ``model(images)`` in evaluation, computing only what each image chose.

    The plain form: a path runs as a module on the images that chose it, gated channels image by
    image. A block with hooks, or that is more than a ``GatedBlock``, runs masked, as a module.
    ``images`` are normalised; ``path`` forces the decisions. Raises ValueError for a model in
    training mode, where batch norm would see other batches than in the masked form.
    """
    if model.training:
        raise ValueError("run_skipped needs a model in evaluation: call model.eval() first")
    check_independent(model)
    return model.walk(images, _run_skipped, path=path)


def _run_skipped(site: Site, x: Tensor, decision: Decision | None) -> Tensor:
    if not is_plain(site.block, GatedBlock):
        return run_masked(site, x, decision)
    return site.block.run_skipped(x, None if site.frozen else decision)
