"""Comparing two runs, with an error that says where they differ."""

import torch
from torch import Tensor

from dyncore.gating import ExecutionPath
from dyncore.network import Output

TOLERANCE = 1e-9
"""For float64, relative to the largest value expected, at least 1."""


def expect_close(found: Tensor, expected: Tensor, what: str) -> None:
    """Raise AssertionError, starting with ``what``, unless equal to float64 rounding."""
    if found.shape != expected.shape:
        raise AssertionError(f"{what}: shapes {tuple(found.shape)} and {tuple(expected.shape)}")
    if not expected.numel():
        return
    difference = float((found - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:  # also where it is nan
        raise AssertionError(f"{what}: differ by {difference:.3g}, allowed are {allowed:.1g}")


def expect_same_path(found: ExecutionPath, expected: ExecutionPath, what: str) -> None:
    """Raise AssertionError, starting with ``what``, unless every decision is the same."""
    for block, (one, other) in enumerate(zip(found, expected, strict=True)):
        for kind, a, b in (
            ("path", one.paths, other.paths),
            ("channel", one.channels, other.channels),
        ):
            if (a is None) != (b is None):
                raise AssertionError(f"{what}: block {block} gates {kind}s in one of the two only")
            if a is not None and b is not None and not torch.equal(a.on, b.on):
                images = (a.on != b.on).any(1).nonzero().squeeze(1).tolist()
                raise AssertionError(
                    f"{what}: other {kind} decisions in block {block} for images {images}"
                )


def expect_same_answer(found: Output, expected: Output, what: str) -> None:
    """Raise AssertionError unless the decisions are the same and the logits close."""
    expect_same_path(found.path, expected.path, what)
    expect_close(found.logits, expected.logits, f"{what}: logits")


def expect_same_bits(found: Output, expected: Output, what: str) -> None:
    """Raise AssertionError unless decisions, their weights and logits are the same bits."""
    expect_same_path(found.path, expected.path, what)
    for name, a, b in (
        ("weights", found.path.weight, expected.path.weight),
        ("logits", found.logits, expected.logits),
    ):
        if not torch.equal(a, b):
            largest = float((a - b).abs().max())
            raise AssertionError(f"{what}: {name} are not bit-equal (they differ by {largest:.3g})")
