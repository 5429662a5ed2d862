"""ONNX files as members."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cascade._member import Member
from dyncore.data import Preprocessing
from dyncore.gating import ExecutionPath
from dyncore.network import Output
from dyncore.parts import decode


def onnx_member(
    file: str | os.PathLike[str], *, preprocessing: Preprocessing | None = None
) -> Member:
    """An ONNX file, run by ONNX Runtime on the CPU.

    Files written by ``dyn export`` say what their images go through, which classes they know, and
    what each image costs. For any other file give ``preprocessing``, without a normalisation if the
    file normalises for itself; nobody knows its MACs. The file has one input, float32 images (B, 3,
    H, W), and its logits are its first output, or the one that is called so.

    Raises FileNotFoundError, and ValueError for a file that cannot be used.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"no file {os.fspath(file)!r}: give an ONNX file")
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(f"{path.name} needs ONNX Runtime: pip install onnxruntime") from error
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        metadata = _read(session.get_modelmeta().custom_metadata_map)
    except Exception as error:  # ONNX Runtime's exceptions have no common class
        raise ValueError(f"{path.name} is no usable ONNX file: {str(error)[:300]}") from error
    inputs = session.get_inputs()
    outputs = [output.name for output in session.get_outputs()]
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(f"{path.name} must have one input, images (batch, 3, height, width)")
    if preprocessing is None and metadata.get("preprocessing") is not None:
        preprocessing = decode(Preprocessing, metadata["preprocessing"], f"{path.name}: its images")
    if preprocessing is None:
        raise ValueError(
            f"{path.name} does not say what its images go through: give "
            "onnx_member(file, preprocessing=Preprocessing(mean=..., std=..., size=...))"
        )
    logits = "logits" if "logits" in outputs else outputs[0]
    wanted = [logits, "macs"] if {"logits", "macs"} <= set(outputs) else [logits]

    def run(images: Float[Tensor, "batch 3 height width"]) -> Tensor | Output:
        values = session.run(wanted, {inputs[0].name: images.float().cpu().numpy()})
        answers = torch.from_numpy(values[0]).to(images.device)
        if len(values) == 1:
            return answers
        return Output(
            logits=answers,
            path=ExecutionPath(()),
            router_features=(),
            pooled=(),
            macs=torch.from_numpy(values[1]).to(images.device),
        )

    classes = metadata.get("classes")
    return Member(
        run=run,
        name=path.name,
        preprocessing=preprocessing,
        classes=tuple(classes) if isinstance(classes, list) else None,
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _read(metadata: Mapping[str, str]) -> dict[str, object]:
    """The values that ``dyn export`` wrote; other files have other metadata, or none."""
    if "paths_per_block" not in metadata:
        return {}
    return {name: json.loads(metadata[name]) for name in ("preprocessing", "classes")}
