"""Ranking loss, histograms and rate cost against loops written from Eq. 10-12 and 15."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dyncore
from dyn_rdinet import RankingConfig, image_histogram, ranking_loss
from dyn_rdinet.losses import Ranking
from dyncore.data import Batch
from dyncore.gating import Choice, Decision, ExecutionPath
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import ExecutionRateConfig


def by_the_equations(weights, features, margin, near_tie, reduction) -> float:
    """Triplet by triplet; images at equal distance rank by index."""
    weights, features = np.asarray(weights), np.asarray(features)
    total, count = 0.0, 0
    for i in range(len(weights)):
        distance = {j: np.linalg.norm(features[i] - features[j]) for j in range(len(features))}
        ranking = sorted((j for j in distance if j != i), key=lambda j: (distance[j], j))
        for near, far in pairwise(ranking):
            difference = distance[far] - distance[near]
            if difference <= near_tie * (distance[far] + distance[near]) / 2:
                continue
            to_near = np.linalg.norm(weights[i] - weights[near])
            to_far = np.linalg.norm(weights[i] - weights[far])
            total += max(0.0, to_near - to_far + margin)
            count += 1
    return total if reduction == "sum" else total / max(1, count)


def draw(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, columns, generator=generator, dtype=torch.float64)


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 9),
    seed=st.integers(0, 2**16),
    margin=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    near_tie=st.sampled_from([0.0, 0.01, 0.3]),
    reduction=st.sampled_from(["mean", "sum"]),
    duplicates=st.booleans(),
)
def test_ranking_loss_is_eq_12(batch, seed, margin, near_tie, reduction, duplicates):
    weights, features = draw(batch, 5, seed), draw(batch, 3, seed + 1)
    if duplicates:
        features[: batch // 2] = features[0].clone()
    loss = ranking_loss(weights, features, margin=margin, near_tie=near_tie, reduction=reduction)
    expected = by_the_equations(weights, features, margin, near_tie, reduction)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_figure_4():
    """From X1 the others lie in the order X3, X4, X2; the other rows are read off the line."""
    features = torch.tensor([[0.0], [7.0], [1.0], [3.0]], dtype=torch.float64)
    triplets = [(1, 3, 4), (1, 4, 2)]
    triplets += [(2, 4, 3), (2, 3, 1), (3, 1, 4), (3, 4, 2), (4, 3, 1), (4, 1, 2)]
    paths = draw(4, 6, seed=0)
    expected = 0.0
    for anchor, positive, negative in triplets:
        to_positive = (paths[anchor - 1] - paths[positive - 1]).square().sum().sqrt()
        to_negative = (paths[anchor - 1] - paths[negative - 1]).square().sum().sqrt()
        expected += max(0.0, (to_positive - to_negative + 0.5).item())
    loss = ranking_loss(paths, features, margin=0.5, reduction="sum")
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    mean = ranking_loss(paths, features, margin=0.5)
    assert mean.item() == pytest.approx(expected / len(triplets), abs=1e-12)


def test_near_ties_are_left_out():
    """Images 1, 2, 3 lie 1, 1.005 and 1.02 from image 0, at right angles to each other."""
    features = torch.diag(torch.tensor([0.0, 1.0, 1.005, 1.02], dtype=torch.float64))
    paths = torch.tensor([[0.0], [0.3], [0.1], [0.2]], dtype=torch.float64, requires_grad=True)
    tied = ranking_loss(paths, features, margin=0.0, near_tie=0.01, reduction="sum")
    # Image 0 sees 1 (0.3 away) tied with 2 (0.1), and 2 before 3 (0.2): nothing to pay. Of the
    # other rows' distances only the step from image 0 to the rest is no near-tie: 1 pays
    # 0.3 - 0.2, 2 nothing (0.1 - 0.2), 3 pays 0.2 - 0.1; the nearer one at sqrt(2) ranks first.
    assert tied.item() == pytest.approx(0.1 + 0.0 + 0.1)
    untied = ranking_loss(paths, features, margin=0.0, near_tie=0.0, reduction="sum")
    assert untied.item() > tied.item() + 0.2 - 1e-12


def test_an_image_is_removed_by_its_index_even_among_duplicates():
    """Four equal images have no order: no triplet, no matter which of them sorts first."""
    paths = draw(4, 3, seed=2)
    loss = ranking_loss(paths, torch.ones(4, 2, dtype=torch.float64), margin=0.5)
    assert loss.item() == 0.0


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_batches_without_triplets_cost_nothing(batch, reduction):
    paths = draw(batch, 3, seed=3).requires_grad_()
    loss = ranking_loss(paths, draw(batch, 4, seed=4), margin=0.5, reduction=reduction)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(paths.grad, torch.zeros_like(paths))


def test_gradient_is_finite_at_identical_paths():
    paths = torch.cat([torch.full((3, 4), 0.5), torch.zeros(2, 4)]).requires_grad_()
    ranking_loss(paths, draw(5, 4, seed=5).float(), margin=0.5).backward()
    assert torch.isfinite(paths.grad).all()
    assert paths.grad.abs().sum() > 0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradient_is_the_derivative(reduction):
    features = draw(6, 4, seed=6)
    paths = draw(6, 5, seed=7).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: ranking_loss(p, features, margin=0.5, reduction=reduction), paths
    )


@pytest.mark.parametrize("bins", [1, 8, 32, 256])
def test_histogram_is_numpys(bins):
    """All 8-bit values, among them 0, 1 and every edge of a bin that they can hit."""
    values = torch.arange(256).float() / 255
    edges = torch.arange(256).float() / 256
    images = torch.stack([values, edges, values.sqrt(), edges**2]).reshape(2, 2, 16, 16)
    histogram = image_histogram(images, bins).reshape(2, 2, bins)
    for image in range(2):
        for channel in range(2):
            pixels = images[image, channel].double().numpy()
            counts, _ = np.histogram(pixels, bins=bins, range=(0, 1))
            np.testing.assert_allclose(histogram[image, channel] * 256, counts, atol=1e-4)


def test_nothing_is_read_back_from_the_device():
    """On the meta device there are no values: reading one, as a mask index would, raises."""
    weights = torch.rand(8, 9, device="meta", requires_grad=True)
    images = torch.rand(8, 3, 16, 16, device="meta")
    ranking_loss(weights, image_histogram(images), margin=0.5).backward()
    assert weights.grad is not None


def output_of(weight: Tensor) -> Output:
    decisions = tuple(Decision(Choice(w > 0.5, w)) for w in weight.split(1, dim=1))
    nothing: list[Tensor | None] = [None] * len(decisions)
    return Output(weight.new_zeros(len(weight), 10), ExecutionPath(decisions), nothing, nothing)


def batch_of(images: Tensor) -> Batch:
    rows = torch.arange(len(images))
    return Batch(images, labels=rows * 0, index=rows)


@pytest.fixture(scope="module")
def model() -> DynamicNetwork:
    return dyncore.create_model("rdinet-resnet20-cifar")


def test_the_part_weighs_and_reads_its_fields(model):
    table = dyncore.cost_table(model, (3, 8, 8))
    images = draw(5, 3 * 8 * 8, seed=8).reshape(5, 3, 8, 8) ** 2
    weights = draw(5, 9, seed=9)
    config = RankingConfig(weight=0.3, margin=0.7, bins=4, near_tie=0.1, reduction="sum")
    terms = config.build(model, table)(batch_of(images), output_of(weights))
    histogram = np.stack(
        [
            np.concatenate([np.histogram(c, bins=4, range=(0, 1))[0] / 64 for c in image])
            for image in images.numpy()
        ]
    )
    expected = 0.3 * by_the_equations(weights, histogram, 0.7, 0.1, "sum")
    assert list(terms) == ["rank"]
    assert terms["rank"].item() == pytest.approx(expected, abs=1e-12)


def test_rate_cost_is_eq_15_of_the_batch_mean(model):
    table = dyncore.cost_table(model, (3, 32, 32))
    weights = draw(7, 9, seed=10)
    expected = 0.0
    for block in range(9):
        rate = sum(weights[image, block].item() for image in range(7)) / 7
        expected += (rate - 0.6) ** 2
    part = ExecutionRateConfig(target=0.6).build(model, table)
    terms = part(batch_of(torch.zeros(7, 3, 32, 32)), output_of(weights))
    assert terms["rate"].item() == pytest.approx(expected, abs=1e-12)


def test_images_of_other_processes_are_ranked_too(model, monkeypatch):
    """A process with images 0-3 of 8 pays what one process with all 8 pays."""
    images = draw(8, 3 * 8 * 8, seed=11).reshape(8, 3, 8, 8)
    weights = draw(8, 9, seed=12)
    part = RankingConfig().build(model, dyncore.cost_table(model, (3, 8, 8)))
    whole = part(batch_of(images), output_of(weights))["rank"]
    elsewhere = {9: weights[4:], 96: image_histogram(images[4:])}
    monkeypatch.setattr(
        "dyn_rdinet.losses.global_batch", lambda x: torch.cat([x, elsewhere[x.shape[1]]])
    )
    share = part(batch_of(images[:4]), output_of(weights[:4]))["rank"]
    torch.testing.assert_close(share, whole)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": -0.1}, "weight must be finite and not negative, not -0.1"),
        ({"margin": float("inf")}, "margin must be finite and not negative, not inf"),
        ({"bins": 0}, "bins must be at least 1, not 0"),
        ({"near_tie": 2.0}, r"near_tie must be in \[0, 2\), not 2.0"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        RankingConfig(**fields)


@pytest.mark.parametrize("size", [(9, 7), (1, 1), (4, 12)])
def test_a_padded_image_has_the_histogram_of_the_image(size):
    """Whatever the margins, at whichever sides; the image itself may be black inside."""
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    image[0, :, size[0] // 2] = 0.0 if size[0] > 2 else image[0, :, size[0] // 2]
    for margins in ((0, 0, 0, 0), (3, 0, 0, 2), (0, 4, 1, 1)):
        padded = torch.nn.functional.pad(image, margins)
        found = image_histogram(padded, 8, padding=False)
        torch.testing.assert_close(found, image_histogram(image, 8), rtol=0, atol=1e-12)
        counted = image_histogram(padded, 8)
        assert torch.equal(counted, found) == (sum(margins) == 0)


def test_every_pixel_of_a_black_image_counts():
    black = torch.zeros(1, 3, 4, 4)
    assert torch.equal(image_histogram(black, 4, padding=False), image_histogram(black, 4))


def test_the_ranking_leaves_padding_out_unless_told_otherwise():
    """An image padded at different sides is the same image, and ranks the others alike."""
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(5, 3, 6, 6, generator=generator)
    moved = torch.stack(
        [torch.nn.functional.pad(x[:, : 6 - n], (0, 0, n, 0)) for n, x in enumerate(images)]
    )
    weights = torch.rand(5, 4, generator=generator)
    path = ExecutionPath((Decision(Choice(weights > 0.5, weights)),))
    for padding in (False, True):
        part = Ranking(RankingConfig(bins=4, padding=padding))
        batch = Batch(moved, torch.zeros(5, dtype=torch.long), torch.arange(5))
        expected = ranking_loss(weights, image_histogram(moved, 4, padding=padding), margin=0.5)
        output = Output(logits=torch.zeros(5, 2), path=path, router_features=(), pooled=())
        assert part(batch, output)["rank"] == pytest.approx(0.2 * expected.item())
    assert not torch.equal(
        image_histogram(moved, 4, padding=False), image_histogram(moved, 4, padding=True)
    )
