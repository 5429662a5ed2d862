"""The static backbone in every engine that a user could have chosen instead.

Each ``…_engine(backbone, images)`` returns a function that runs the network once on ``images``, or
raises ImportError where the package is not installed.
"""

import copy
import functools
import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Run = Callable[[], object]
BATCH = "batch"  # the exported model's name for it


def eager(backbone: nn.Module, images: Tensor) -> Run:
    """Channels-last, module by module."""
    model = backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images.contiguous(memory_format=torch.channels_last)
    return torch.no_grad()(lambda: model(images))


def compiled(backbone: nn.Module, images: Tensor) -> Run:
    """``torch.compile`` with freezing; on a GPU max-autotune, which captures a CUDA graph."""
    import torch._inductor.config as inductor

    torch._dynamo.reset()
    mode = "max-autotune" if images.is_cuda else None
    images = images.contiguous(memory_format=torch.channels_last)
    model = torch.compile(backbone.to(memory_format=torch.channels_last), mode=mode)  # type: ignore[call-overload]
    with inductor.patch(freezing=True), torch.no_grad():
        model(images)
    return torch.no_grad()(lambda: model(images))


def graphed(backbone: nn.Module, images: Tensor) -> Run:
    """Eager on a GPU, as one CUDA graph: the host launches nothing."""
    run = eager(backbone, images)
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        for _ in range(2):  # libraries choose algorithms and allocate
            run()
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def tensorrt(backbone: nn.Module, images: Tensor) -> Run:
    """TensorRT in the precision of the weights, told the batch size."""
    import torch_tensorrt

    images = images.contiguous()
    with torch.no_grad():
        model = torch_tensorrt.compile(
            backbone, ir="dynamo", inputs=[images], use_explicit_typing=True
        )
    return torch.no_grad()(lambda: model(images))


def onnxruntime(backbone: nn.Module, images: Tensor) -> Run:
    """ONNX Runtime on the CPU, told the batch size."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_free_dimension_override_by_name(BATCH, len(images))
    model = _onnx(backbone, images.shape[1:])
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: images.contiguous().numpy()}
    return lambda: session.run(None, feed)


def openvino(backbone: nn.Module, images: Tensor, hint: str | None = "f32") -> Run:
    """OpenVINO on the CPU, told the batch size; without a ``hint`` in the precision it prefers."""
    import openvino as ov

    model = _traced(backbone, images.shape[1:])
    model.reshape(list(images.shape))
    settings: dict[str, object] = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    if hint is not None:
        settings["INFERENCE_PRECISION_HINT"] = hint
    compiled_model = ov.Core().compile_model(model, "CPU", settings)
    if hint is None:
        print("OpenVINO's own choice:", compiled_model.get_property("INFERENCE_PRECISION_HINT"))
    request = compiled_model.create_infer_request()
    feed = images.contiguous().numpy()
    return lambda: request.infer([feed])


def compiled_in_bfloat16(backbone: nn.Module, images: Tensor) -> Run:
    """``torch.compile`` with freezing of a copy in bfloat16."""
    return compiled(copy.deepcopy(backbone).bfloat16(), images.bfloat16())


@functools.lru_cache(maxsize=1)
def _traced(backbone: nn.Module, image: torch.Size) -> Any:
    """OpenVINO's model, for batches of any size."""
    import openvino as ov

    return ov.convert_model(backbone, example_input=torch.zeros(1, *image))


@functools.lru_cache(maxsize=1)
def _onnx(backbone: nn.Module, image: torch.Size) -> bytes:
    """The model for batches of any size."""
    some = torch.zeros(2, *image)
    batch = ({0: torch.export.Dim(BATCH)},)
    exported = torch.onnx.export(backbone, (some,), dynamic_shapes=batch, verbose=False)
    assert exported is not None
    file = io.BytesIO()
    exported.save(file)
    return file.getvalue()


FAST = {"onnxruntime": onnxruntime, "openvino": openvino}
CPU = {"eager": eager, "compile": compiled} | FAST
"""In float32; on no machine of ours one of the first two was the fastest, and they take minutes."""
BF16 = {
    "compile-bf16": compiled_in_bfloat16,
    "openvino-bf16": functools.partial(openvino, hint="bf16"),
    "openvino-default": functools.partial(openvino, hint=None),
}
"""In bfloat16, which OpenVINO chooses itself where the processor has it; ONNX Runtime has none."""
GPU = {"eager": eager, "graph": graphed, "compile": compiled, "tensorrt": tensorrt}
