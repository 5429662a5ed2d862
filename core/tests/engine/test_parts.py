"""The engine's parts, each against a plain computation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dyncore.engine._convolution import (
    OneDnnConvolution,
    PortableConvolution,
    fastest,
    onednn_works,
)
from dyncore.engine._fold import fold, folded
from dyncore.engine._path import FoldedPath, Paths, add_all_, join
from dyncore.engine._plan import FoldedLayer
from dyncore.engine._rows import Chunking, put_, take


def norm(channels: int, kind: type = nn.BatchNorm2d) -> nn.Module:
    layer = kind(channels)
    for values, (low, high) in (
        (layer.weight.data, (0.5, 2)),
        (layer.bias.data, (-1, 1)),
        (layer.running_mean, (-1, 1)),
        (layer.running_var, (0.2, 3)),
    ):
        nn.init.uniform_(values, low, high)
    return layer.double().eval()


@torch.no_grad()
def test_a_folded_layer_is_layer_and_norm():
    conv, x = nn.Conv2d(4, 6, 3, groups=2, bias=False).double(), torch.randn(2, 4, 7, 7).double()
    after = norm(6)
    torch.testing.assert_close(fold(conv, after)(x), after(conv(x)), rtol=0, atol=1e-12)
    linear, y = nn.Linear(5, 3).double(), torch.randn(4, 5).double()
    after = norm(3, nn.BatchNorm1d)
    torch.testing.assert_close(fold(linear, after)(y), after(linear(y)), rtol=0, atol=1e-12)


class Twice(nn.Module):
    """Something else reads what the norm is given: folding would change it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = norm(3)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.norm(y) + y


@torch.no_grad()
def test_what_cannot_be_folded_is_left_alone():
    module, x = Twice().eval(), torch.randn(2, 3, 5, 5).double()
    torch.testing.assert_close(folded(module, x)(x), module(x))


@torch.no_grad()
def test_folding_a_module_leaves_the_original_alone():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).eval()
    x = torch.randn(2, 3, 5, 5)
    result = folded(module, x)
    assert isinstance(result[1], nn.Identity)
    assert isinstance(module[1], nn.BatchNorm2d)


@pytest.mark.parametrize("kind", [OneDnnConvolution, PortableConvolution])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
@torch.no_grad()
def test_convolutions(kind, activation):
    if kind is OneDnnConvolution and not onednn_works():
        pytest.skip("oneDNN's operators are not here")
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1)
    act = {"none": lambda y: y, "relu": torch.relu, "relu6": nn.functional.relu6}[activation]
    ours = kind(conv, activation)
    for images in (1, 2, 5):
        x = (3 * torch.randn(images, 4, 9, 8)).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(ours(x), act(conv(x)), rtol=1e-4, atol=1e-4)
        for relu in (False, True):
            total = torch.randn_like(conv(x)).contiguous(memory_format=torch.channels_last)
            expected = total + conv(x)
            ours.add_(total, x, relu=relu)
            expected = expected.relu() if relu else expected
            torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_weight_in_a_slow_layout_is_not_used(monkeypatch):
    """The named layout loses the race against the plain weight: then all are timed."""
    if not onednn_works():
        pytest.skip("oneDNN's operators are not here")
    raced: list[int] = []

    def race(runs, **settings):
        raced.append(len(runs))
        return 1 if len(runs) == 2 else 0

    monkeypatch.setattr("dyncore.engine._convolution.fastest", race)
    conv = nn.Conv2d(4, 6, 3)
    x = torch.randn(1, 4, 9, 9).contiguous(memory_format=torch.channels_last)
    ours = OneDnnConvolution(conv, "none")
    torch.testing.assert_close(ours(x), conv(x), rtol=1e-4, atol=1e-4)
    assert raced[0] == 2
    assert raced[1] > 2


def test_the_fastest_run_and_its_margin():
    now = [0.0]

    def takes(seconds):
        def run():
            now[0] += seconds

        return run

    def clock():
        return now[0]

    assert fastest([takes(3), takes(1), takes(2)], clock=clock) == 1
    assert fastest([takes(1.1), takes(1)], clock=clock, margin=1.2) == 0
    assert fastest([takes(1.3), takes(1)], clock=clock, margin=1.2) == 1


@pytest.mark.parametrize("groups", [1, 6])
@torch.no_grad()
def test_joined_paths_are_their_sum(groups):
    """First layers side by side, inner ones in groups, the last one over all."""
    paths = []
    for _ in range(3):
        convs = (
            nn.Conv2d(4, 6, 1),
            nn.Conv2d(6, 6, 3, padding=1, groups=groups),
            nn.Conv2d(6, 5, 1),
        )
        kinds = ("relu", "relu6", "none")
        paths.append([FoldedLayer(c.double(), k) for c, k in zip(convs, kinds, strict=True)])
    x = torch.randn(2, 4, 5, 5).double().contiguous(memory_format=torch.channels_last)
    alone = [FoldedPath(path, portable=True)(x) for path in paths]
    together = FoldedPath(join(paths), portable=True)(x)
    torch.testing.assert_close(together, sum(alone), rtol=0, atol=1e-12)


@given(
    rows=st.lists(st.integers(0, 30), min_size=1, unique=True).map(sorted),
    limit=st.integers(1, 9),
    gather=st.booleans(),
)
def test_chunks_are_the_rows_in_order(rows, limit, gather):
    seen = []
    for chunk in Chunking(limit, gather).chunks(rows):
        part = torch.arange(31)[chunk].tolist()
        assert 0 < len(part) <= limit
        assert gather or isinstance(chunk, slice)
        seen += part
    assert seen == rows


def test_take_and_put():
    x = torch.randn(6, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    rows = torch.tensor([4, 1])
    some = take(x, rows)
    assert some.equal(x[rows])
    assert some.is_contiguous(memory_format=torch.channels_last)
    before = x.clone()
    put_(x, rows, some + 1)
    before[rows] += 1
    assert x.equal(before)


@torch.no_grad()
def test_many_paths_run_in_groups_that_subsets_share():
    """Six paths: groups of four and two, whose weights exist once however they are combined."""
    paths = []
    for _ in range(6):
        convs = (nn.Conv2d(4, 3, 1), nn.Conv2d(3, 4, 1))
        layers = zip(convs, ("relu", "none"), strict=True)
        paths.append(tuple(FoldedLayer(conv.double(), kind) for conv, kind in layers))
    together = Paths(paths, portable=True)
    x = torch.randn(2, 4, 5, 5).double().contiguous(memory_format=torch.channels_last)
    alone = [FoldedPath(path, portable=True)(x) for path in paths]
    for subset in range(1, 64):
        total = torch.zeros_like(x)
        add_all_(together.chosen(subset), total, x, relu=False)
        expected = sum(alone[n] for n in range(6) if subset >> n & 1)
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-12)
    different = {id(part) for subset in range(1, 64) for part in together.chosen(subset)}
    assert len(different) == 15 + 3
