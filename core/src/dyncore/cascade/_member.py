"""One network of a cascade."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from dyncore.adopt import Library
from dyncore.cascade._asked import Said
from dyncore.cascade._rest import Rest
from dyncore.cost import CostTable, cost_table, count_macs
from dyncore.data import Preprocessing, transforms_v2
from dyncore.network import DynamicNetwork, Output


@dataclass(frozen=True, kw_only=True)
class Member:
    """Anything that turns images into logits, and what it needs to be asked.

    :meth:`of` makes one from a network. A session of another runtime needs two lines::

        session = onnxruntime.InferenceSession("model.onnx")
        run = lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        member = Member(run=run, name="model.onnx", preprocessing=..., cost=40_600_000)
    """

    run: Callable[[Tensor], Tensor | Output]
    """Prepared images (B, 3, H, W) → logits (B, K), or an Output."""
    name: str
    """What messages and tables call it."""
    preprocessing: Preprocessing | None
    """Size and statistics that ``run`` wants; None: it takes images as the cascade gets them."""
    classes: tuple[str, ...] | None = None
    """Name of each class, in the order of the logits."""
    num_classes: int | None = None
    """Number of logits; None: not known before the first answer."""
    cost: CostTable | int | None = None
    """MACs for one image: of each path of a dynamic network, or a number; None: not known."""
    library: Library | None = None
    """Where it comes from, if it is a network of timm or torchvision."""
    training_images: str | None = None
    """Hashes of some of the images it was trained on, see ``ModelInfo``."""
    fingerprint: str | None = None
    """What a ``run`` that is no module answers from, e.g. a file's hash; None: not known."""
    rest: Rest | None = None
    """How it goes on from the features of the member before; a cascade finds out."""

    def __post_init__(self) -> None:
        if self.classes is None:
            return
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{self.name}: a class name stands twice among its classes")
        if self.num_classes is None:
            object.__setattr__(self, "num_classes", len(self.classes))
        elif self.num_classes != len(self.classes):
            raise ValueError(
                f"{self.name} has {self.num_classes} logits, but {len(self.classes)} class names"
            )

    @classmethod
    def of(
        cls,
        network: nn.Module,
        *,
        name: str | None = None,
        preprocessing: Preprocessing | None = None,
        classes: tuple[str, ...] | None = None,
        library: Library | None = None,
    ) -> "Member":
        """A network as a member, with its MACs counted.

        A :class:`dyncore.DynamicNetwork` brings its preprocessing and classes along. Any other
        module needs ``preprocessing``. Raises ValueError where it is missing.
        """
        training_images = None
        if isinstance(network, DynamicNetwork):
            info, training_images = network.info, network.info.training_images
            preprocessing = preprocessing or info.preprocessing
            classes, name = classes or info.classes, name or info.model
        name = name or type(network).__name__
        if preprocessing is None:
            raise ValueError(
                f"{name} does not say what its images go through: give "
                "Member.of(network, preprocessing=Preprocessing(mean=..., std=..., size=...))"
            )
        size = (3, preprocessing.size, preprocessing.size)
        if isinstance(network, DynamicNetwork):
            cost: CostTable | int = cost_table(network, size)
            num_classes = network.config.num_classes
        else:
            cost, num_classes = _count(network, size)
        return cls(
            run=network,
            name=name,
            preprocessing=preprocessing,
            classes=classes,
            num_classes=num_classes,
            cost=cost,
            library=library,
            training_images=training_images,
        )

    def running(self, run: Callable[[Tensor], Tensor | Output]) -> "Member":
        """The same member run by something else, e.g. by an ``Engine`` of its network."""
        return replace(self, run=run)

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch classes"], Int[Tensor, "batch"] | None]:
        """Logits and MACs of each image; ``images`` are in [0, 1] and of any size.

        MACs are None if nobody knows them.
        """
        logits, macs, _ = self.ask(images)
        return logits, macs

    def ask(self, images: Float[Tensor, "batch 3 height width"]) -> Said:
        """The same, and the features."""
        return self.read(self.run(self.prepare(images)))

    def resume(self, features: Float[Tensor, "batch channel height width"]) -> Said:
        """The answer for images of which the member before gave these features."""
        assert self.rest is not None
        return self.read_rest(self.rest(features))

    def read(self, output: Tensor | Output) -> Said:
        """What ``run`` gave."""
        if isinstance(output, Tensor):
            return Said(output, self._macs(output, None))
        return Said(output.logits, self._macs(output.logits, output), output.features)

    def read_rest(self, output: Output) -> Said:
        """What ``rest`` gave."""
        assert self.rest is not None
        macs = output.logits.new_full((len(output.logits),), self.rest.macs, dtype=torch.int64)
        return Said(output.logits, macs, output.features)

    def prepare(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 size size"]:
        """Images resized whole to the member's size, and normalised."""
        resized = self.resize(images)
        return resized if self.preprocessing is None else self.preprocessing.normalize(resized)

    def resize(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 size size"]:
        """Images resized whole to the member's size."""
        if self.preprocessing is None:
            return images
        size = self.preprocessing.size
        if images.shape[2] == images.shape[3] == size:
            return images
        return transforms_v2().functional.resize(images, [size, size], antialias=True)

    def _macs(self, logits: Tensor, output: Output | None) -> Tensor | None:
        if output is not None and output.macs is not None:
            return output.macs
        if isinstance(self.cost, CostTable) and output is not None and self.decides:
            return self.cost.macs(output.path)
        if self._most is None:
            return None
        return logits.new_full((len(logits),), self._most, dtype=torch.int64)

    @cached_property
    def decides(self) -> bool:
        """Whether images may differ in what they cost."""
        return isinstance(self.cost, CostTable) and self.cost.gated > 0

    @cached_property
    def _most(self) -> int | None:
        """MACs of an image with every path on."""
        return self.cost.full if isinstance(self.cost, CostTable) else self.cost


@torch.no_grad()
def _count(network: nn.Module, size: tuple[int, int, int]) -> tuple[int, int]:
    """MACs and number of logits of a module for one image, counted on the meta device.

    Attention is counted as the matrix products that it is.
    """
    copied = copy.deepcopy(network).to(device="meta", dtype=torch.float32).eval()
    image, shapes = torch.empty(1, *size, device="meta"), []
    with sdpa_kernel(SDPBackend.MATH):
        macs = count_macs(lambda: shapes.append(copied(image).shape))
    return macs, shapes[0][1]


def widest_preprocessing(members: Sequence[Member]) -> Preprocessing | None:
    """What suits the member of the largest input, but for the normalisation."""
    known = [member.preprocessing for member in members if member.preprocessing is not None]
    if not known:
        return None
    largest = max(known, key=lambda preprocessing: preprocessing.size)
    unchanged = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=largest.size)
    return Preprocessing(**{**vars(unchanged), "resize": largest.resize})


def linked(members: Sequence[Member]) -> tuple[Member, ...]:
    """The members, each with what is left of it after the one before, if that is its beginning."""
    rests = [None, *(_rest(before, member) for before, member in pairwise(members))]
    pairs = zip(members, rests, strict=True)
    return tuple(m if m.rest == rest else replace(m, rest=rest) for m, rest in pairs)


def _rest(before: Member, member: Member) -> Rest | None:
    if before.preprocessing != member.preprocessing:
        return None
    return Rest.after((before.run, before.cost), (member.run, member.cost))
