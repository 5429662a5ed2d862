"""A tiny detector learns, and its boxes come from the maps that the images chose."""

import sys
from pathlib import Path

import pytest
import torch

import dyncore
from dyncore.backbones import ResNetConfig
from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
from detection import loss, make_detector


@pytest.fixture
def detector():
    torch.manual_seed(0)
    backbone = ResNetConfig(
        block="basic", depths=(1, 1, 1, 1), widths=(4, 8, 8, 8), stem="imagenet"
    )
    config = dyncore.DynamicConfig(
        backbone=backbone,
        num_classes=3,
        router=ShortRangeRouterConfig(dim=8),
        gate=GumbelSoftmaxGateConfig(),
    )
    small = {"min_size": 64, "max_size": 64, "rpn_post_nms_top_n_train": 20}
    return make_detector(dyncore.DynamicNetwork(config), 2, **small)


@pytest.fixture
def batch():
    images = list(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    box = torch.tensor([[8.0, 8.0, 40.0, 48.0]])
    return images, [{"boxes": box, "labels": torch.tensor([n])} for n in (1, 2)]


def test_its_boxes_come_from_the_maps_that_images_chose(detector, batch):
    detector.eval()
    images, _ = batch
    with torch.no_grad():
        found = detector(images)
        prepared = detector.transform(images)[0].tensors
        maps, path = detector.backbone.network.feature_maps(prepared)
        pyramid = detector.backbone.pyramid({str(n): x for n, x in enumerate(maps)})
        again = detector.backbone(prepared)
    assert [set(boxes) for boxes in found] == [{"boxes", "labels", "scores"}] * 2
    assert list(again) == ["0", "1", "2", "3", "pool"]
    assert all(again[name].equal(pyramid[name]) for name in again)
    assert detector.backbone.path.on.equal(path.on)


@pytest.mark.situation(
    "a detector on routed maps, trained (`examples/detection`)",
    under="Features for detectors and segmenters",
)
def test_it_learns_and_its_gates_with_it(detector, batch):
    detector.train()
    before = [p.detach().clone() for p in detector.backbone.network.gates.parameters()]
    optimiser = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(8):
        torch.manual_seed(1)  # of noise and of the boxes that are drawn
        value = loss(detector, *batch, rate=0.5)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.9 * losses[0]
    after = detector.backbone.network.gates.parameters()
    assert all(not a.equal(b) for a, b in zip(after, before, strict=True))
