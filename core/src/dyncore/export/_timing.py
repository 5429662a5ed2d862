"""What a written file takes here, beside the static network in a file of the same kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cascade import milliseconds
from dyncore.export._agreement import Run
from dyncore.export._onnx import export_onnx, load_onnx
from dyncore.export._pt2 import export_pt2
from dyncore.network import DynamicNetwork


@dataclass(frozen=True)
class Timing:
    """Milliseconds per image, medians of rounds in turn."""

    file: float
    static: float
    """Of the plain backbone, without routers, exported in the same way."""

    @property
    def ratio(self) -> float:
        """Above 1 the static network is the faster one."""
        return self.file / self.static


def time_file(
    file: Path, network: DynamicNetwork, images: Float[Tensor, "batch channel height width"]
) -> Timing:
    """Time a file that was exported from ``network`` for batches like ``images``.

    The static network has random weights, which do not matter to the clock; its file is written
    into a temporary folder.
    """
    static = DynamicNetwork(network.config.static).eval()
    with TemporaryDirectory() as folder:
        if file.suffix == ".onnx":
            export_onnx(static, images, Path(folder) / "static.onnx")
        else:
            export_pt2(static, images, Path(folder) / "static.pt2")
        beside = next(Path(folder).iterdir())
        taken = milliseconds({"file": _load(file), "static": _load(beside)}, [images])
    return Timing(taken["file"], taken["static"])


def _load(file: Path) -> Run:
    if file.suffix == ".onnx":
        return load_onnx(file)
    package = torch._inductor.aoti_load_package(str(file))

    def run(images: Tensor) -> Mapping[str, Tensor]:
        return package(images)

    return run
