"""What DMNN adds up for training, against loops written from Eq. 9-16."""

from dataclasses import replace
from math import exp, log

import pytest
import torch

from dyn_dmnn.recipes import RECIPES
from dyncore import DynamicNetwork, cost_table, from_pretrained
from dyncore.data import Batch, Preprocessing, superclasses
from dyncore.network import Output, read_tensors
from dyncore.objectives import Objective
from dyncore.testing import Case
from dyncore.training import TrainingStep

RECIPE = RECIPES["dmnn-resnet50-cifar2-n2-cifar100-b0.7"]
NO_CAT = RECIPES["dmnn-resnet50-n2-imagenet-b0.7-no-cat"]
IMAGES, SIZE = 6, 16


@pytest.fixture(scope="module")
def step() -> TrainingStep:
    """A narrow network of the recipe, with its objective, in training."""
    case = Case.of(RECIPE)
    torch.manual_seed(0)
    model = DynamicNetwork(case.network)
    table = cost_table(model, (3, SIZE, SIZE))
    parts = {key: config.build(model, table) for key, config in case.objective.items()}
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=SIZE)
    return TrainingStep(model, Objective(parts), table, preprocessing).double().train()


@pytest.fixture(scope="module")
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(IMAGES, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
    return Batch(pixels, torch.tensor([0, 26, 29, 52, 71, 99]), torch.arange(IMAGES))


@pytest.fixture(scope="module")
def noise(step) -> torch.Tensor:
    return step.model.draw_noise(IMAGES, torch.Generator().manual_seed(2)).double()


@pytest.fixture(scope="module")
def output(step, batch, noise) -> Output:
    return step.model(step.preprocessing.normalize(batch.images), noise=noise)


def executed(step, output: Output, noise: torch.Tensor, block: int, reads: str) -> list[int]:
    """b_i: the number of images of the batch that execute sub-block i of the block.

    With the noise of training, as printed, or without, as in evaluation.
    """
    g = step.model.gates[str(block)].head(output.router_features[block])
    counts = [0] * (g.shape[1] // 2)
    for image, row in enumerate(g.tolist()):
        for i in range(len(counts)):
            off, on = row[2 * i : 2 * i + 2]
            if reads == "training":
                delta_off, delta_on = noise[image, len(counts) * block + i].tolist()
                off, on = off + delta_off, on + delta_on
            counts[i] += on > off
    return counts


def flops(block, side: int) -> tuple[list[int], int]:
    """f_{l,i} of each sub-block for an input of ``side`` × ``side``, and the output's side."""
    costs = []
    for path in block.paths:
        total, s = 0, side
        for conv, _, _ in path.layers:
            stride, kernel = conv.stride[0], conv.kernel_size[0]
            s = -(-s // stride)
            total += s * s * conv.in_channels * conv.out_channels * kernel**2
        costs.append(total)
    return costs, s


def part(step, key: str, reads: str):
    """The recipe's part, or the printed form of it."""
    config = replace(RECIPE.objective[key], reads=reads)
    assert RECIPE.objective[key].reads == "training"
    return config.build(step.model, step.table)


READS = ("noise-free", "training")


@pytest.mark.parametrize("reads", READS)
def test_execution_rate_loss_is_eq_11_and_12(step, batch, output, noise, reads):
    expected = 0.0
    for block in range(4):
        b = executed(step, output, noise, block, reads)
        z = sum(b) / (IMAGES * len(b))
        expected += (0.7 - z) ** 2
    term = part(step, "rate", reads)(batch, output)["rate"]
    assert term.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("reads", READS)
def test_flops_loss_is_eq_13_and_14(step, batch, output, noise, reads):
    f = f_total = 0.0
    side = SIZE // 2  # after the stem, which reduces by 2
    for index, block in enumerate(step.model.backbone.blocks):
        costs, side = flops(block, side)
        b = executed(step, output, noise, index, reads)
        f += sum(count / IMAGES * cost for count, cost in zip(b, costs, strict=True))
        f_total += sum(costs)
    term = part(step, "flops", reads)(batch, output)["flops"]
    assert term.item() == pytest.approx((f / f_total - 0.7) ** 2, rel=1e-6)


def test_category_loss_is_eq_9_and_10(step, batch, output):
    expected = 0.0
    table = superclasses("cifar100-superclasses")
    for block, alpha in enumerate((0.01, 0.01, 0.1, 0.1)):  # two stages of two blocks
        head = step.objective.parts["category"].heads[str(block)]
        logits = head(output.router_features[block]).tolist()
        for row, label in zip(logits, batch.labels.tolist(), strict=True):
            assert len(row) == 20
            p = exp(row[table[label]]) / sum(map(exp, row))
            expected -= alpha * log(p) / IMAGES
    term = step.objective.parts["category"](batch, output)["category"]
    assert term.item() == pytest.approx(expected, rel=1e-6)


def test_the_total_loss_is_eq_16(step, batch, noise):
    result = step(batch, noise, None, None)
    assert result.terms.keys() == {"classification", "rate", "flops", "category"}
    assert result.loss.item() == pytest.approx(sum(t.item() for t in result.terms.values()))


@pytest.mark.parametrize("reads", READS)
def test_gradients_cross_the_decisions(step, batch, output, noise, reads):
    """L_exec sees nothing but hard counts; at the last gate it has the softmax's gradient."""
    gate = step.model.gates["3"]
    loss = part(step, "rate", reads)(batch, output)["rate"]
    (found,) = torch.autograd.grad(loss, gate.head.bias, retain_graph=True)

    logits = gate.head(output.router_features[3]).unflatten(1, (2, 2)).detach()
    if reads == "training":
        logits = logits + noise[:, 6:]
    rate = (logits.argmax(2) == 1).double().mean()
    p = logits.softmax(2)[..., 1]
    on = 2 * (rate - 0.7) * (p * (1 - p)).sum(0) / p.numel()
    expected = torch.stack([-on, on], 1).flatten()
    torch.testing.assert_close(found, expected)


def test_heads_are_checkpointed_but_not_saved(step, tmp_path):
    state = step.state_dict()
    heads = [name for name in state if ".heads." in name]
    assert len(heads) == 2 * 4
    step.model.save_pretrained(tmp_path / "model")
    saved = read_tensors(tmp_path / "model")
    assert len(saved) == sum(name.startswith("model.") for name in state)
    assert not any("head" in name and not name.startswith("gates.") for name in saved)
    assert from_pretrained(tmp_path / "model").config == step.model.config


def test_without_cat_no_part_has_parameters():
    case = Case.of(NO_CAT)
    model = DynamicNetwork(case.network)
    table = cost_table(model, (3, SIZE, SIZE))
    parts = {key: config.build(model, table) for key, config in case.objective.items()}
    assert parts.keys() == {"classification", "rate", "flops"}
    assert not any(list(part.parameters()) for part in parts.values())
