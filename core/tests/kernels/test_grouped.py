"""Gradients of grouped convolutions in compiled code, against torch's own."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyncore.kernels import _compiled_norm
from dyncore.kernels._grouped import MAX_INPUTS, grouped, library


def gradients(run, *given: torch.Tensor) -> list[torch.Tensor]:
    """Of a weighted sum of what ``run`` gives."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in given]
    out = run(*leaves)
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    return [out, *torch.autograd.grad((out * weights.sin()).sum(), leaves)]


@pytest.mark.needs_compiler
@settings(max_examples=40)
@given(
    images=st.integers(1, 3),
    size=st.tuples(st.integers(1, 18), st.integers(1, 35)),
    groups=st.integers(2, 4),
    inputs=st.integers(1, MAX_INPUTS),
    outputs=st.integers(1, 9),
)
def test_narrow_groups(images, size, groups, inputs, outputs):
    """Rows are cut into tiles, groups pair up, channels fill vectors: all at odds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(images, groups * inputs, *size, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(groups * outputs, inputs, 3, 3, generator=generator)
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    found = gradients(lambda x, w: grouped(x, w, conv, groups), x, weight)
    assert "_Grouped" in type(grouped(x, weight.requires_grad_(), conv, groups).grad_fn).__name__
    expected = gradients(
        lambda x, w: F.conv2d(x, w, padding=1, groups=groups), x.double(), weight.double()
    )
    for ours, exact in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("change", "conv"),
    [
        ({"dtype": torch.float64}, nn.Conv2d(2, 2, 3, padding=1)),
        ({"memory_format": torch.contiguous_format}, nn.Conv2d(2, 2, 3, padding=1)),
        ({}, nn.Conv2d(2, 2, 3, padding=1, stride=2)),
        ({}, nn.Conv2d(2, 2, 3)),
    ],
)
def test_all_else_is_torchs(change, conv):
    x = torch.randn(2, 4, 6, 5).to(memory_format=torch.channels_last).to(**change)
    weight = torch.randn(4, 2, 3, 3, dtype=x.dtype, requires_grad=True)
    out = grouped(x, weight, conv, 2)
    assert "_Grouped" not in type(out.grad_fn).__name__
    torch.testing.assert_close(out, F.conv2d(x, weight, None, conv.stride, conv.padding, groups=2))


@pytest.mark.needs_compiler
def test_each_source_has_a_library_of_its_own():
    """Both lie in one folder, whose files are part of the name in the cache."""
    norms = _compiled_norm.library(torch.float32)
    assert library()._name != norms._name
