"""What an engine cannot run, since it does not call the modules around a network's blocks."""

from torch import nn

from dyncore.blocks import GatedBlock
from dyncore.gating import does_more
from dyncore.network import DynamicNetwork, check_independent


def check_runs(model: DynamicNetwork) -> None:
    """Raise ValueError for hooks that would not fire, and for what only whole batches tell.

    Hooks on a block, or on anything in it, are all right: it runs as a module.
    """
    if any(not path.exists for site in model.sites for path in site.block.paths):
        raise ValueError("the engine does not run networks from which paths were removed")
    for name, module in model.named_modules():
        if does_more(module) and _holds_blocks(module):
            raise ValueError(
                f"{name or 'the network'} has hooks or a forward of its own, which the engine "
                "would not run: remove them (accelerate's: unwrap_model(model, "
                "keep_fp32_wrapper=False)), or put them on blocks or layers, which then run as "
                "modules"
            )
    check_independent(model)


def _holds_blocks(module: nn.Module) -> bool:
    return not isinstance(module, GatedBlock) and any(
        isinstance(inner, GatedBlock) for inner in module.modules()
    )
