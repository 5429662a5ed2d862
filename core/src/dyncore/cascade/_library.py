"""Networks of timm and torchvision, by name."""

from torch import nn

from dyncore.adopt import IMAGENET, Library, build_library
from dyncore.cascade._member import Member


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
    built = build_library(library, pretrained=pretrained)
    return Member.of(
        built.network.eval(),
        name=f"{package}:{model}",
        preprocessing=built.preprocessing,
        classes=built.classes,
        library=library,
    )


def build_network(library: Library) -> nn.Module:
    """The network with random weights. Raises as library_member."""
    return build_library(library, pretrained=False).network.eval()
