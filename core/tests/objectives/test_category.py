"""The category loss against loops over blocks, images and categories."""

import json
from math import exp, log

import pytest
import torch
from torch.testing import assert_close

import dyncore
from dyncore.cost import CostTable
from dyncore.data import Batch, superclasses
from dyncore.gating import ExecutionPath, config_to_dict
from dyncore.network import read_tensors
from dyncore.objectives import CategoryLossConfig, Objective, category_loss
from dyncore.parts import part_config

NO_COSTS = CostTable(input_size=(3, 8, 8), static=0, stem=0, head=0, blocks=())
GATED = ("blend-pad", "additive-mobilenetv2", "n3-bottleneck", "n2-salience")


def cross_entropy(logits: list[float], category: int) -> float:
    """``-log p`` of the category, with plain numbers."""
    return log(sum(exp(logit) for logit in logits)) - logits[category]


@pytest.fixture
def batch(images) -> Batch:
    return Batch(images, torch.tensor([0, 1, 2, 3, 4, 0]), torch.arange(6))


def test_the_loss_is_the_weighted_sum_over_blocks_of_batch_means():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    category, weights = [3, 0, 1, 1, 2], [0.01, 0.1, 0.5]

    loss = category_loss(logits, torch.tensor(category), torch.tensor(weights).double())

    expected = 0.0
    for block, weight in zip(logits.tolist(), weights, strict=True):
        images = [cross_entropy(row, k) for row, k in zip(block, category, strict=True)]
        expected += weight * sum(images) / 5
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert torch.autograd.gradcheck(
        lambda x: category_loss(x, torch.tensor(category), torch.tensor(weights)), logits
    )


@pytest.mark.parametrize("name", GATED)
def test_every_router_has_a_head_on_its_feature(networks, images, batch, name):
    network = networks[name]
    part = CategoryLossConfig(weight=3.0).build(network, NO_COSTS).double()
    output = network(images, relaxed=True)

    terms = part(batch, output)

    stages, expected = network.backbone.stages, 0.0
    for block, feature in enumerate(output.router_features):
        assert (str(block) in part.heads) == (feature is not None)
        if feature is None:
            continue
        weight, bias = (p.tolist() for p in part.heads[str(block)].parameters())
        assert len(bias) == network.config.num_classes
        losses = []
        for row, label in zip(feature.tolist(), batch.labels.tolist(), strict=True):
            logits = [
                sum(w * x for w, x in zip(column, row, strict=True)) + b
                for column, b in zip(weight, bias, strict=True)
            ]
            losses.append(cross_entropy(logits, label))
        expected += 10.0 ** (stages[block] - stages[-1] - 1) * sum(losses) / len(losses)
    assert terms.keys() == {"category"}
    assert terms["category"].item() == pytest.approx(3 * expected, rel=1e-6)


def stage_weights(backbone: str) -> dict[int, float]:
    with torch.device("meta"):
        model = dyncore.create_model(f"vanilla-{backbone}", num_classes=10)
    part = CategoryLossConfig().build(model, NO_COSTS)
    return {
        int(block): float(f"{w:.6g}") for block, w in zip(part.heads, part.weights, strict=True)
    }


def test_weights_rise_tenfold_per_stage():
    """CDB section 3.2.2: 1e-4 in the first of ResNet-50's stages of 3, 4, 6, 3 blocks."""
    weights = stage_weights("resnet50")
    assert list(weights.values()) == [1e-4] * 3 + [1e-3] * 4 + [1e-2] * 6 + [1e-1] * 3
    assert list(stage_weights("resnet20-cifar").values()) == [1e-3] * 3 + [1e-2] * 3 + [1e-1] * 3


def test_stages_of_mobilenetv2_are_its_resolutions():
    """Gated blocks have a shortcut; the stages at 14×14 and 7×7 have two widths each."""
    weights = stage_weights("mobilenetv2")
    at_56, at_28, at_14, at_7 = [2], [4, 5], [7, 8, 9, 11, 12], [14, 15]
    expected = dict.fromkeys(at_56, 1e-4) | dict.fromkeys(at_28, 1e-3)
    assert weights == expected | dict.fromkeys(at_14, 1e-2) | dict.fromkeys(at_7, 1e-1)


@pytest.mark.parametrize(
    ("categories", "classes", "count"),
    [
        ("cifar10-superclasses", 10, 2),
        ("cifar100-superclasses", 100, 20),
        ("imagenet-58", 1000, 58),
        ("classes", 7, 7),
    ],
)
def test_labels_become_categories(categories, classes, count):
    model = dyncore.create_model("vanilla-resnet20-cifar", num_classes=classes)
    part = CategoryLossConfig(categories=categories).build(model, NO_COSTS)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, classes - 1, classes // 2, 1])
    output = model.eval()(images)
    table = range(classes) if categories == "classes" else superclasses(categories)
    of_images = torch.tensor([table[label] for label in labels.tolist()])

    term = part(Batch(images, labels, torch.arange(4)), output)["category"]

    logits = [head(output.router_features[int(block)]) for block, head in part.heads.items()]
    assert {row.shape[1] for row in logits} == {count}
    assert_close(term, category_loss(torch.stack(logits), of_images, part.weights))


def test_heads_are_trained_and_checkpointed_but_not_saved(networks, images, batch, tmp_path):
    network = networks["n3-bottleneck"]
    objective = Objective({"category": CategoryLossConfig().build(network, NO_COSTS).double()})
    before = set(network.state_dict())

    objective(batch, network(images, relaxed=True))["category"].backward()
    network.save_pretrained(tmp_path / "model")

    for name, parameter in objective.named_parameters():
        assert ".heads." in name
        assert parameter.grad.abs().sum() > 0
    routers = [p for name, p in network.routers.named_parameters() if "history" not in name]
    assert all(parameter.grad.abs().sum() > 0 for parameter in routers)
    assert set(read_tensors(tmp_path / "model")) == before
    assert "category" not in (tmp_path / "model" / "config.json").read_text()
    blocks = len(network.gates)
    assert {name.rpartition(".")[2] for name in objective.state_dict()} == {"weight", "bias"}
    assert len(objective.state_dict()) == 2 * blocks


def test_forced_paths_have_no_features(networks, images, batch):
    network = networks["n3-bottleneck"]
    part = CategoryLossConfig().build(network, NO_COSTS)
    on = torch.ones(6, sum(network.paths_per_block), dtype=torch.bool)
    path = ExecutionPath.of(on, network.paths_per_block, dtype=torch.float64)
    with pytest.raises(ValueError, match="leave its part out of the objective of a phase with"):
        part(batch, network(images, path=path))


@pytest.mark.parametrize(
    ("network", "categories", "message"),
    [
        ("static", "classes", "needs a network with routers, not a static one"),
        ("additive", "imagenet-58", r"'imagenet-58' is for 1000 classes, but the network has 5"),
    ],
)
def test_networks_that_do_not_fit_are_refused(networks, network, categories, message):
    with pytest.raises(ValueError, match=message):
        CategoryLossConfig(categories=categories).build(networks[network], NO_COSTS)


def test_a_bad_weight_is_named():
    with pytest.raises(ValueError, match=r"weight must be finite and not negative, not -1\.0"):
        CategoryLossConfig(weight=-1.0)


def test_the_configuration_comes_back_from_json():
    config = CategoryLossConfig(categories="cifar100-superclasses", weight=0.5)
    assert part_config("objectives", json.loads(json.dumps(config_to_dict(config)))) == config
