"""Public CIFAR-10 ResNets as model folders, for ``--init``.

``python benchmarks/public_resnets.py --weights FOLDER --output FOLDER`` reads state dicts named as
in akamaster/pytorch_resnet_cifar10 (``resnet20.safetensors``, …) and writes ``resnet20``, ….
"""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from safetensors.torch import load_file

import dyncore
from dyncore.data import Preprocessing

SIZES = (20, 32, 56)
PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=32)
"""What the public weights were trained with."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write public CIFAR-10 ResNets as model folders."""

    weights: str
    """Folder of the public weights."""
    output: str
    """Where the model folders go."""


def public(folder: Path, layers: int) -> dyncore.DynamicNetwork:
    """One of the public networks. Their classifier is called ``linear``, and norms do not count."""
    network = dyncore.create_model(f"static-resnet{layers}-cifar")
    state = network.state_dict()
    for name, tensor in load_file(folder / f"resnet{layers}.safetensors").items():
        state["backbone." + name.replace("linear.", "fc.")] = tensor
    network.load_state_dict(state)
    network.info = replace(network.info, preprocessing=PREPROCESSING)
    return network.eval()


def main(options: Options) -> None:
    """Write every network that is there."""
    for layers in SIZES:
        target = Path(options.output) / f"resnet{layers}"
        public(Path(options.weights), layers).save_pretrained(target)
        print(f"wrote {target}")


if __name__ == "__main__":
    main(tyro.cli(Options))
