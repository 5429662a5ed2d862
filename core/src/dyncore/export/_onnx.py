"""ONNX files."""

import copy
import os
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.export._agreement import Agreement, Run, expect_agreement
from dyncore.export._artefact import Artefact, metadata
from dyncore.export._errors import ExportError
from dyncore.export._file import checked_target
from dyncore.export._requirements import require_onnx, require_torch
from dyncore.files import replacing
from dyncore.network import DynamicNetwork


def export_onnx(
    network: DynamicNetwork,
    images: Float[Tensor, "batch channel height width"],
    file: str | os.PathLike[str],
) -> Agreement:
    """Write ``file`` (.onnx): the masked form, for batches of any size, in one file.

    Input ``images`` are normalised, of the size of these examples; outputs are those of
    :class:`Artefact`, and the file's metadata that of :func:`metadata`. Everything is computed,
    whatever the decisions. The file is run in ONNX Runtime on the examples before it gets its
    name. Raises ValueError for examples that do not fit, and :class:`ExportError` if
    ``dyncore[export]`` is not installed or the file's answers are not the network's.
    """
    target = checked_target(file, ".onnx")
    require_torch()
    require_onnx()
    artefact = copy.deepcopy(Artefact(network, images)).cpu()
    images = images.cpu()
    # An example of one image would make 1 the only batch size.
    example = images if len(images) > 1 else images.repeat(2, 1, 1, 1)
    with torch.no_grad():
        program = torch.onnx.export(
            artefact,
            (example,),
            input_names=["images"],
            output_names=list(artefact(example)),
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned no program")
    program.model.metadata_props.update(metadata(network, artefact.table.input_size))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        program.save(temporary, external_data=False)
        return expect_agreement(load_onnx(temporary), artefact, images)


def load_onnx(file: Path) -> Run:
    """The file in ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        values = session.run(None, {"images": images.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}

    return run
