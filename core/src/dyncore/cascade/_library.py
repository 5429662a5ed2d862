"""Networks of timm and torchvision, by name."""

import re
from dataclasses import dataclass

from torch import nn

from dyncore.cascade._member import Library, Member
from dyncore.data import Preprocessing

PACKAGES = ("timm", "torchvision")
IMAGENET = 1000


@dataclass(frozen=True)
class _Built:
    network: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None


def library_member(
    package: str, model: str, *, pretrained: bool = True, num_classes: int = IMAGENET
) -> Member:
    """A network of ``timm`` or ``torchvision`` by its name, with its preprocessing and MACs.

    ``pretrained`` fetches the package's default weights. Without them the network is random, of
    ``num_classes`` logits, and its preprocessing is what is usual on ImageNet.

    Raises ValueError for a name that the package does not know or cannot fetch weights for, and
    where the package is not installed.
    """
    library = Library(package=package, model=model, num_classes=num_classes)
    built = _build(library, pretrained=pretrained)
    return Member.of(
        built.network.eval(),
        name=f"{package}:{model}",
        preprocessing=built.preprocessing,
        classes=built.classes,
        library=library,
    )


def build_network(library: Library) -> nn.Module:
    """The network with random weights. Raises as library_member."""
    return _build(library, pretrained=False).network.eval()


def _build(library: Library, *, pretrained: bool) -> _Built:
    name = f"{library.package}:{library.model}"
    if library.package not in PACKAGES or not re.fullmatch(r"[A-Za-z0-9_.]{1,100}", library.model):
        raise ValueError(f"{name[:120]!r} is no network's name: give timm:NAME or torchvision:NAME")
    if pretrained and library.num_classes != IMAGENET:
        raise ValueError(f"pretrained weights of {name} answer for {IMAGENET} classes")
    build = _timm if library.package == "timm" else _torchvision
    try:
        return build(library, pretrained)
    except ImportError as error:
        raise ValueError(
            f"{name} needs {library.package}: pip install {library.package}"
        ) from error
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"{name} cannot be built: {str(error)[:300]}") from error


def _timm(library: Library, pretrained: bool) -> _Built:
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
    return _Built(network, preprocessing, None)


def _torchvision(library: Library, pretrained: bool) -> _Built:
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
        num_classes=library.num_classes,
    )
    names = tuple(weights.meta["categories"])
    # ImageNet has classes of one name (two cranes, two maillots), which cannot tell them apart.
    usable = pretrained and len(set(names)) == len(names)
    return _Built(network, preprocessing, names if usable else None)
