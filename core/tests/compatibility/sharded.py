"""One of two processes that train together: ``RANK=r WORLD_SIZE=2 python sharded.py FOLDER``.

Each takes half of the images. Writes to FOLDER/r.pt the gradients by DistributedDataParallel and by
FSDP2, and those of all images in one process; and saves the sharded network to FOLDER/model, as
the error of ``save_pretrained`` says.
"""

import copy
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import dyncore
from dyncore import DynamicNetwork
from dyncore.network import Output

IMAGES = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def network() -> DynamicNetwork:
    """In training, with norms that keep their statistics: those of a batch are a process's own."""
    torch.manual_seed(0)
    model = dyncore.create_model("vanilla-resnet20-cifar").double().train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.eval()
    return model


def backward(output: Output) -> None:
    (output.logits.square().mean() + output.path.weight.mean()).backward()


def gradients(model: DynamicNetwork) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {
        name: grad.full_tensor() if hasattr(grad, "full_tensor") else grad
        for name, grad in found.items()
        if grad is not None
    }


def together(rank: int, folder: Path) -> dict[str, dict[str, Tensor]]:
    share = IMAGES.chunk(2)[rank]
    alone, shared, sharded = (network() for _ in range(3))
    backward(alone(IMAGES))
    wrapped = DistributedDataParallel(shared, static_graph=True)
    backward(wrapped(share))
    for part in (sharded.backbone.layer1, sharded.backbone.layer2, sharded):
        fully_shard(part)
    optimizer = torch.optim.SGD(sharded.parameters(), lr=0.1)
    backward(sharded(share))
    found = {"alone": alone, "shared": shared, "sharded": sharded}
    kept = {name: gradients(model) for name, model in found.items()}
    optimizer.step()
    gathered = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        whole = DynamicNetwork(sharded.config, sharded.info).double()
        whole.load_state_dict(gathered)
        whole.save_pretrained(folder / "model")
        torch.optim.SGD(alone.parameters(), lr=0.1).step()
        kept["stepped"] = copy.deepcopy(alone.state_dict())
    return kept


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(together(rank, folder), folder / f"{rank}.pt")
    dist.destroy_process_group()
