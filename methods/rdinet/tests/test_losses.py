"""Histograms, ranking loss and rate cost against loops written from Eq. 10-12 and 15."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dyncore
from dyn_rdinet import Ranking, RankingConfig, image_histogram, ranking_loss
from dyncore.cost import execution_rate_loss
from dyncore.data import Batch
from dyncore.gating import Decision, ExecutionPath
from dyncore.network import Output


def by_the_equations(weights, features, margin, near_tie, reduction) -> float:
    """Triple by triple; the order is by distance, then by index."""
    weights, features = np.asarray(weights), np.asarray(features)
    total, count = 0.0, 0
    for i in range(len(weights)):
        distance = {j: np.linalg.norm(features[i] - features[j]) for j in range(len(features))}
        ranking = sorted((j for j in distance if j != i), key=lambda j: (distance[j], j))
        for near, far in zip(ranking, ranking[1:], strict=False):
            difference = distance[far] - distance[near]
            if difference <= near_tie * (distance[far] + distance[near]) / 2:
                continue
            to_near = np.linalg.norm(weights[i] - weights[near])
            to_far = np.linalg.norm(weights[i] - weights[far])
            total += max(0.0, to_near - to_far + margin)
            count += 1
    return total if reduction == "sum" else total / max(1, count)


def draw(batch: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, columns, generator=generator, dtype=torch.float64)


@settings(max_examples=60, deadline=None)
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
    """From X1 the others lie in the order X3, X4, X2: triplets (X1, X3, X4) and (X1, X4, X2).

    The other images see no order: X2, X3 and X4 stand on a circle around a far X1, ...
    so here only X1's row is looked at, through the gradient on the paths.
    """
    features = torch.tensor([[0.0], [4.0], [1.0], [2.0]], dtype=torch.float64)
    paths = draw(4, 6, seed=0)
    d12, d13, d14 = (torch.linalg.vector_norm(paths[0] - paths[j]) for j in (1, 2, 3))
    of_x1 = (d13 - d14 + 0.5).relu() + (d14 - d12 + 0.5).relu()
    # The rows of X2, X3, X4, in the same way: (4, 3, 1), (4, 1 tie-free, 2), ...
    total = ranking_loss(paths, features, margin=0.5, reduction="sum")
    without_x1 = sum(_row(paths, features, i) for i in (1, 2, 3))
    torch.testing.assert_close(total, of_x1 + without_x1)


def _row(paths: Tensor, features: Tensor, i: int) -> Tensor:
    raise NotImplementedError
