"""Five steps in float64: ``RANK=r WORLD_SIZE=n python synchronised.py FOLDER SYNCHRONISED``.

All processes use one GPU, so they talk by gloo. Writes the network's state to FOLDER/r.safetensors.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch.distributed as dist
from safetensors.torch import save_file

from dyncore.backbones import ResNetConfig
from dyncore.gating import ShortRangeRouterConfig
from dyncore.methods.vanilla.recipes import RECIPES
from dyncore.recipes import SGD, Phase
from dyncore.training import RunOptions
from dyncore.training._trainer import Trainer
from dyncore.training._update import Updater

STEPS = 5


def main(folder: Path, synchronised: bool) -> None:
    """Train a small network of norms in blocks and routers."""
    rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if processes > 1:
        os.environ["LOCAL_RANK"] = "0"
        meeting = f"file://{folder}/meeting"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    recipe = RECIPES["vanilla-resnet20-digits-b0.5"]
    backbone = ResNetConfig(block="basic", depths=(1, 1), widths=(4, 8), stem="cifar")
    network = replace(recipe.network, backbone=backbone, router=ShortRangeRouterConfig(dim=8))
    recipe = replace(
        recipe,
        network=network,
        batch_size=32,
        phases=(Phase(name="train", epochs=1.0),),
        optimizer=SGD(learning_rate=0.05),
    )
    trainer = Trainer(recipe, RunOptions(output=str(folder), sync_batch_norm=synchronised))
    trainer.step_module.double()
    updater = Updater(
        trainer.step_module, trainer.phases[0], trainer.recipe, trainer.options, trainer.accelerator
    )
    updater.train()
    for step, batch in zip(range(STEPS), trainer.train_loader.epoch(0), strict=False):
        updater.backward(replace(batch, images=batch.images.double()), step)
        updater.step()
    save_file(trainer.model.state_dict(), folder / f"{rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "True")
