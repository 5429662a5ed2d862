"""AOTInductor packages."""

import os

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.export._agreement import Agreement, expect_agreement
from dyncore.export._artefact import Artefact, metadata
from dyncore.export._file import checked_target
from dyncore.export._requirements import require_compiler, require_torch
from dyncore.files import replacing
from dyncore.network import DynamicNetwork


def export_pt2(
    network: DynamicNetwork,
    images: Float[Tensor, "batch channel height width"],
    file: str | os.PathLike[str],
    *,
    skip: bool = False,
) -> Agreement:
    """Write ``file`` (.pt2), compiled by AOTInductor for batches of as many images as ``images``.

    ``torch._inductor.aoti_load_package`` runs it in Python and ``AOTIModelPackageLoader`` in C++,
    on the kind of processor or GPU that it was compiled on. Input, outputs and metadata are those
    of :func:`export_onnx`. Everything is computed, unless ``skip``: then a path that no image of
    the batch chose is not. That pays for single images of which many paths are off; convolutions
    inside of conditions are slower, as their weights are not laid out in advance. The file is run
    on the examples before it gets its name. Raises ValueError for examples that do not fit, and
    :class:`ExportError` without a C++ compiler or if the file's answers are not the network's.
    """
    target = checked_target(file, ".pt2")
    require_torch()
    require_compiler()
    artefact = Artefact(network, images)
    with torch.no_grad():
        program = torch.export.export(Artefact(artefact.network, images, skip=skip), (images,))
    described = metadata(network, artefact.table.input_size)
    # Layouts that are chosen anew do not reach the branches of conditions: wrong in torch 2.12.1.
    layout = {"layout_optimization": False} if skip else {"freezing": True}
    settings = {**layout, "aot_inductor.metadata": described}
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        torch._inductor.aoti_compile_and_package(
            program, package_path=str(temporary), inductor_configs=settings
        )
        run = torch._inductor.aoti_load_package(str(temporary))
        return expect_agreement(run, artefact, images)
