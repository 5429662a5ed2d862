"""From a static network to a dynamic one that begins as the same."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.adopt._backbone import AdoptedBackbone, AdoptedConfig
from dyncore.adopt._trace import AdoptError
from dyncore.adopt._weightless import without_weights
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.registry import method_config
from dyncore.weights import PACKAGES, Library, build_library


def make_dynamic(
    model: nn.Module,
    method: str = "rdinet",
    *,
    example_input: Float[Tensor, "batch 3 height width"],
    router: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
) -> DynamicNetwork:
    """A dynamic network with the weights of ``model``, a network of timm or torchvision.

    Every residual branch becomes a path with a router and a gate before it, one per block; of a
    transformer that is each attention and each MLP. With all paths on the answer is that of
    ``model``, bit by bit. Routers read the mean over pixels or tokens. ``print(dynamic.backbone.
    adopted)`` lists what is dynamic, and why the rest is not. ``model`` itself is left as it is:
    its weights are copied. ``example_input`` (B, 3, H, W) are images like those it will see;
    ``router`` and ``gate`` change fields of the method's parts as in :func:`create_model`.

    Raises :class:`AdoptError`, a ValueError, for a network that cannot be traced, has no such
    branch or is not what its library builds by a name (then a saved model could not be loaded),
    and ValueError for an unknown method, or one that has no gate.
    """
    network = _identified(model, example_input)
    height, width = example_input.shape[-2:]
    backbone = AdoptedConfig(
        package=network.package,  # type: ignore[arg-type]
        model=network.model,
        height=height,
        width=width,
    )
    config = method_config(method, backbone, network.num_classes, router=router, gate=gate)
    if config.gate is None:
        raise ValueError(f"{method} decides nothing: take a method with a gate, e.g. 'rdinet'")
    dynamic = DynamicNetwork(config, ModelInfo(method=method))
    assert isinstance(dynamic.backbone, AdoptedBackbone)
    dynamic.backbone.original.load_state_dict(model.state_dict())
    weight = next(model.parameters())
    dynamic.to(device=weight.device, dtype=weight.dtype)
    _check_same(model, dynamic, example_input)
    return dynamic.train(model.training)


def _identified(model: nn.Module, images: Tensor) -> Library:
    """The name by which its library builds such a network."""
    kind = type(model)
    package = kind.__module__.partition(".")[0]
    if package not in PACKAGES:
        raise AdoptError(
            f"{kind.__module__}.{kind.__name__} is no class of timm or torchvision: only what a "
            "library builds by a name can be saved and loaded again"
        )
    bare = without_weights(model).eval()
    try:
        answer = bare(torch.empty(1, *images.shape[1:], device="meta", dtype=torch.float32))
    except Exception as error:  # whatever the network makes of such images
        raise AdoptError(
            f"{kind.__name__} cannot take example_input of shape {tuple(images.shape)}: "
            f"{str(error)[:300]}"
        ) from error
    if not isinstance(answer, Tensor) or answer.ndim != 2:
        raise AdoptError(f"{kind.__name__} gives no logits (batch, classes) for one image")
    tried = []
    for name in _names(package, model):
        library = Library(package=package, model=name, num_classes=answer.shape[1])
        try:
            with torch.device("meta"):
                built = build_library(library, pretrained=False).network
        except ValueError:
            continue
        if _form(built) == _form(model):
            return library
        tried.append(name)
    raise AdoptError(
        f"{package} builds no {kind.__name__} that is like this one by a name alone"
        f" (tried {', '.join(tried) or 'none'}): undo what was replaced in it or asked for beside "
        "the name; num_classes may be any"
    )


def _names(package: str, model: nn.Module) -> Iterator[str]:
    if package == "timm":
        described = getattr(model, "pretrained_cfg", None) or {}
        if name := described.get("architecture"):
            yield name
        return
    from torchvision.models import get_model_builder, list_models

    for name in list_models():
        if get_model_builder(name).__module__ == type(model).__module__:
            yield name


def _form(network: nn.Module) -> tuple[str, dict[str, torch.Size]]:
    """All modules with their settings, and all shapes."""
    return repr(network), {name: t.shape for name, t in network.state_dict().items()}


@torch.no_grad()
def _check_same(model: nn.Module, dynamic: DynamicNetwork, images: Tensor) -> None:
    """Raise AdoptError if the two do not answer alike."""
    training = model.training
    path = ExecutionPath.always_on(images, dynamic.paths_per_block)
    expected = model.eval()(images)
    model.train(training)
    found = dynamic.eval()(images, path=path).logits
    if not torch.equal(found, expected):
        raise AdoptError(
            f"with every path on it answers otherwise than {type(model).__name__}, by "
            f"{float((found - expected).abs().max()):.3g}: please report this network"
        )
