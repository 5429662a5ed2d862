"""Recognising images that a network was trained on, by a few hashes of them."""

import hashlib
import re
from collections.abc import Iterable
from typing import final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

KEPT = 512
"""Hashes in a sketch; a set of images with fewer is kept whole."""
_DIGITS = 16
"""Hexadecimal digits of a hash: 8 bytes."""


def sketch(images: UInt8[Tensor, "row channel height width"]) -> str:
    """The ``KEPT`` smallest hashes of the images, one after the other.

    A set's smallest hashes are a fair sample of it, and whoever meets one of its images can tell
    whether it should be among them (Broder, "On the resemblance and containment of documents",
    1997).
    """
    return "".join(sorted(set(_hashes(images)))[:KEPT])


def check_sketch(text: str) -> None:
    """Raise ValueError for what :func:`sketch` cannot have written."""
    if not re.fullmatch(rf"([0-9a-f]{{{_DIGITS}}}){{1,{KEPT}}}", text):
        raise ValueError(
            f"training_images must be 1 to {KEPT} hashes of {_DIGITS} hexadecimal digits, not "
            f"{text[:40]!r}"
        )


@final
class Recognition:
    """Counts images that belong to a sketched set."""

    def __init__(self, text: str) -> None:
        hashes = [text[i : i + _DIGITS] for i in range(0, len(text), _DIGITS)]
        self._hashes = frozenset(hashes)
        self._last = max(hashes) if len(hashes) == KEPT else "f" * _DIGITS
        self.known = 0
        """Images that are in the set."""
        self.looked_at = 0
        """Images that would be in the sketch if they were in the set."""

    @property
    def share(self) -> float:
        """The share of the images that is in the set, estimated."""
        return self.known / max(1, self.looked_at)

    def see(self, images: Float[Tensor, "batch channel height width"]) -> None:
        """Look at images in [0, 1], of the size that the set's images have."""
        pixels = (images.detach().float() * 255).round().clamp(0, 255).to(torch.uint8)
        for found in _hashes(pixels):
            if found <= self._last:
                self.looked_at += 1
                self.known += found in self._hashes


def _hashes(images: Tensor) -> Iterable[str]:
    for pixels in images.cpu().contiguous().numpy():
        yield hashlib.blake2b(pixels.tobytes(), digest_size=_DIGITS // 2).hexdigest()
