"""Whether a written file answers as the network does."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.export._artefact import Artefact
from dyncore.export._errors import ExportError

Run: TypeAlias = Callable[[Tensor], Mapping[str, Tensor]]
"""A loaded file: images → the outputs of :class:`Artefact`."""

TOLERANCE = 4.0
"""Times eager's own error against float64."""
ROUNDING = 5e-6
"""Of the largest logit: an error that any other order of summation makes."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A file compared with the network in float64."""

    images: int
    other_decisions: int
    """Images that the file, eager and float64 do not all decide alike; their logits are not
    compared. A decision that rounding turns has a margin of rounding's size."""
    error: float
    """Largest difference between the file's logits and those of float64."""
    eager_error: float
    """The same of the network run eagerly, in the precision of its weights."""
    allowed: float
    """What is taken for rounding: four times eager's error, at least 5e-6 of the largest logit."""

    @property
    def holds(self) -> bool:
        """Whether the file can be taken for the network."""
        return self.error <= self.allowed and 2 * self.other_decisions <= self.images


@torch.no_grad()
def agreement(
    run: Run, artefact: Artefact, images: Float[Tensor, "batch channel height width"]
) -> Agreement:
    """Run the file and the network on ``images``; the network in float64, too."""
    found, eager = run(images), artefact(images)
    exact = copy.deepcopy(artefact).double()(images.double())
    alike = torch.ones(len(images), dtype=torch.bool, device=images.device)
    for name in exact.keys() - {"logits"}:
        for answer in (found, eager):
            same = answer[name] == exact[name]
            alike &= same if same.ndim == 1 else same.all(1)
    error, eager_error, largest = (
        float(values[alike].abs().max()) if bool(alike.any()) else 0.0
        for values in (
            found["logits"] - exact["logits"],
            eager["logits"] - exact["logits"],
            exact["logits"],
        )
    )
    return Agreement(
        images=len(images),
        other_decisions=int((~alike).sum()),
        error=error,
        eager_error=eager_error,
        allowed=max(TOLERANCE * eager_error, ROUNDING * largest),
    )


def expect_agreement(
    run: Run, artefact: Artefact, images: Float[Tensor, "batch channel height width"]
) -> Agreement:
    """Raises :class:`ExportError` unless the file can be taken for the network."""
    found = agreement(run, artefact, images)
    if not found.holds:
        raise ExportError(
            f"the exported file does not answer as the model does: on {found.images} images it "
            f"decides {found.other_decisions} otherwise, and its logits differ by "
            f"{found.error:.3g} from float64's where {found.allowed:.3g} is rounding; nothing was "
            "written. Try other versions of torch and of the export's packages, and report it"
        )
    return found
