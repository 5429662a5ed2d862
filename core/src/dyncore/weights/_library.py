"""Networks of timm and torchvision, by name."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from dyncore.data import Preprocessing

PACKAGES = ("timm", "torchvision")
IMAGENET = 1000


@dataclass(frozen=True, kw_only=True)
class Library:
    """Where a network that is not ours comes from, so that it can be saved and built again."""

    package: str
    """``timm`` or ``torchvision``."""
    model: str
    """The name that the package builds it by."""
    num_classes: int
    """Number of logits."""

    @property
    def name(self) -> str:
        """``timm:resnet18``."""
        return f"{self.package}:{self.model}"


def named_library(source: str) -> Library | None:
    """What ``timm:NAME`` or ``torchvision:NAME`` means; None for what has not that form."""
    package, colon, model = source.partition(":")
    if package not in PACKAGES or not colon:
        return None
    return Library(package=package, model=model, num_classes=IMAGENET)


@dataclass(frozen=True)
class LibraryNetwork:
    """What a package builds, and what it says about it."""

    network: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None


def build_library(library: Library, *, pretrained: bool) -> LibraryNetwork:
    """The network, with the package's default weights or with random ones.

    Raises ValueError for a name that the package does not know or cannot fetch weights for, and
    where the package is not installed.
    """
    name = library.name
    if library.package not in PACKAGES or not re.fullmatch(r"[A-Za-z0-9_.]{1,100}", library.model):
        raise ValueError(f"{name[:120]!r} is no network's name: give timm:NAME or torchvision:NAME")
    if pretrained and library.num_classes != IMAGENET:
        raise ValueError(f"pretrained weights of {name} answer for {IMAGENET} classes")
    build = _timm if library.package == "timm" else _torchvision
    try:
        with _weightless():
            built = build(library, pretrained)
    except ImportError as error:
        raise ValueError(
            f"{name} needs {library.package}: pip install {library.package}"
        ) from error
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"{name} cannot be built: {str(error)[:300]}") from error
    built.network.to(torch.get_default_device())
    return built


def _timm(library: Library, pretrained: bool) -> LibraryNetwork:
    import timm

    network = timm.create_model(
        library.model, pretrained=pretrained, num_classes=library.num_classes
    )
    wanted = timm.data.resolve_model_data_config(network)
    size = wanted["input_size"][1]
    preprocessing = Preprocessing(
        mean=tuple(wanted["mean"]),
        std=tuple(wanted["std"]),
        size=size,
        resize=max(size, int(size / wanted["crop_pct"])),
    )
    return LibraryNetwork(network, preprocessing, None)


def _torchvision(library: Library, pretrained: bool) -> LibraryNetwork:
    from torchvision import models

    weights = models.get_model_weights(library.model).DEFAULT
    wanted = weights.transforms()
    preprocessing = Preprocessing(
        mean=tuple(wanted.mean),
        std=tuple(wanted.std),
        size=wanted.crop_size[0],
        resize=max(wanted.crop_size[0], wanted.resize_size[0]),
    )
    network = models.get_model(
        library.model,
        weights=weights if pretrained else None,
        progress=sys.stderr.isatty(),  # a bar; in a file each of its steps would be kept
        num_classes=library.num_classes,
    )
    names = tuple(weights.meta["categories"])
    # ImageNet has classes of one name (two cranes, two maillots), which cannot tell them apart.
    usable = pretrained and len(set(names)) == len(names)
    return LibraryNetwork(network, preprocessing, names if usable else None)


class _NothingDrawn(TorchFunctionMode):
    """Weights without memory are not drawn: for that, torch would import its compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            weight = args[0] if args else kwargs["tensor"]
            if weight.is_meta:
                return weight
        return func(*args, **kwargs)


@contextmanager
def _weightless() -> Iterator[None]:
    """Where the meta device is asked for, put weights there, and nothing else.

    RegNet computes its widths, and others the rates of their dropped paths, with tensors.
    """
    if torch.get_default_device().type != "meta":
        yield
        return
    thread = threading.get_ident()

    def to_meta(
        module: nn.Module, name: str, parameter: nn.Parameter | None
    ) -> nn.Parameter | None:
        if parameter is None or parameter.is_meta or threading.get_ident() != thread:
            return None
        return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    hook = register_module_parameter_registration_hook(to_meta)  # type: ignore[arg-type]
    try:
        with torch.device("cpu"), _NothingDrawn():
            yield
    finally:
        hook.remove()
