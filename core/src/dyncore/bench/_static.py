"""A network with every path on, in the engines that people would take instead.

``STATIC[name](network, images, precision)`` answers batches like ``images`` on the CPU, in
"fp32", or, with None, in what the engine chooses itself.
"""

import copy
import importlib
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from dyncore.adopt import AdoptedBackbone
from dyncore.engine import Precision
from dyncore.network import DynamicNetwork

Run: TypeAlias = Callable[[Tensor], Tensor]
"""From a batch of images to logits."""


class Static(NamedTuple):
    """An engine that is ready."""

    run: Run
    precision: str
    """What it computes in, as :attr:`dyncore.Engine.precision` says it."""


class NotHereError(RuntimeError):
    """An engine that is not installed, or does not take the network; the message says which."""


def static_network(model: DynamicNetwork) -> nn.Module:
    """The network that ``model`` is with every path on: of an adopted one, the library's own."""
    backbone = model.backbone
    network = backbone.original if isinstance(backbone, AdoptedBackbone) else backbone
    return copy.deepcopy(network).eval().requires_grad_(False)


def _eager(network: nn.Module, images: Tensor, precision: Precision | None) -> Static:
    """Module by module, in channels-last; in the type of the weights, float32."""
    model = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(batch: Tensor) -> Tensor:
        answer: Tensor = model(batch.contiguous(memory_format=torch.channels_last))
        return answer

    return Static(run, "fp32")


def _onnx_runtime(network: nn.Module, images: Tensor, precision: Precision | None) -> Static:
    """Told the batch size; in float32, it has no bfloat16 on a CPU."""
    _require("onnx", "onnxscript", "onnxruntime")
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch's exporter says of torch
        program = torch.onnx.export(network, (images,), dynamo=True, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (name,) = [each.name for each in session.get_inputs()]
    return Static(
        lambda batch: torch.from_numpy(session.run(None, {name: batch.numpy()})[0]), "fp32"
    )


def _openvino(network: nn.Module, images: Tensor, precision: Precision | None) -> Static:
    """Told the batch size; it chooses bfloat16 where the processor has it."""
    _require("openvino")
    openvino: Any = importlib.import_module("openvino")
    model = openvino.convert_model(network, example_input=images)
    model.reshape(list(images.shape))
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    if precision == "fp32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()

    def run(batch: Tensor) -> Tensor:
        request.infer([batch.numpy()])
        # A copy: the next call writes over what this one gave.
        return torch.from_numpy(request.get_output_tensor(0).data.copy())

    chosen = compiled.get_property("INFERENCE_PRECISION_HINT")
    return Static(run, "bf16" if chosen == openvino.Type.bf16 else "fp32")


def _require(*packages: str) -> None:
    """Raise :class:`NotHereError` for what is not installed."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        named = " ".join(missing)
        raise NotHereError(f"not installed: pip install {named}")


STATIC: dict[str, Callable[[nn.Module, Tensor, Precision | None], Static]] = {
    "eager": _eager,
    "ONNX Runtime": _onnx_runtime,
    "OpenVINO": _openvino,
}
"""By the name that tables give them."""
