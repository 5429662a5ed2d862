"""What DMNN adds up for training, against loops written from Eq. 9-16."""

from math import exp, log

import pytest
import torch

from dyn_dmnn.recipes import RECIPES
from dyncore import DynamicNetwork, cost_table, from_pretrained
from dyncore.data import Batch, superclasses
from dyncore.hub import read_tensors
from dyncore.network import Output
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
    from dyncore.data import Preprocessing

    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=SIZE)
    return TrainingStep(model, Objective(parts), table, preprocessing).double().train()


@pytest.fixture(scope="module")
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(IMAGES, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
    return Batch(pixels, torch.tensor([0, 26, 29, 52, 71, 99]), torch.arange(IMAGES))


@pytest.fixture(scope="module")
def output(step, batch) -> Output:
    noise = step.model.draw_noise(IMAGES, torch.Generator().manual_seed(2))
    return step.model(step.preprocessing.normalize(batch.images), noise=noise)


def executed(output: Output, block: int) -> list[int]:
    """b_i: the number of images of the batch that execute sub-block i of the block."""
    rows = output.path[block].on.tolist()
    return [sum(row[i] for row in rows) for i in range(len(rows[0]))]


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


def test_execution_rate_loss_is_eq_11_and_12(step, batch, output):
    expected = 0.0
    for block in range(4):
        b = executed(output, block)
        z = sum(b) / (IMAGES * len(b))
        expected += (0.7 - z) ** 2
    term = step.objective.parts["rate"](batch, output)["rate"]
    assert term.item() == pytest.approx(expected, rel=1e-9)


def test_flops_loss_is_eq_13_and_14(step, batch, output):
    f = f_total = 0.0
    side = SIZE // 2  # after the stem, which reduces by 2
    for index, block in enumerate(step.model.backbone.blocks):
        costs, side = flops(block, side)
        f += sum(b / IMAGES * cost for b, cost in zip(executed(output, index), costs, strict=True))
        f_total += sum(costs)
    term = step.objective.parts["flops"](batch, output)["flops"]
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


def test_the_total_loss_is_eq_16(step, batch):
    noise = step.model.draw_noise(IMAGES, torch.Generator().manual_seed(2))
    result = step(batch, noise, None, None)
    assert result.terms.keys() == {"classification", "rate", "flops", "category"}
    assert result.loss.item() == pytest.approx(sum(t.item() for t in result.terms.values()))


def test_gradients_cross_the_decisions(step, batch):
    """Of L_exec alone, which sees nothing but hard counts: softmax's gradient at each gate."""
    noise = step.model.draw_noise(IMAGES, torch.Generator().manual_seed(2))
    features: list[torch.Tensor] = []
    gate = step.model.gates["0"]
    hook = gate.register_forward_pre_hook(lambda _, arguments: features.append(arguments[0]))
    loss = step(batch, noise, None, frozenset({"rate"})).loss
    hook.remove()
    (found,) = torch.autograd.grad(loss, gate.head.bias)

    logits = (gate.head(features[0]).unflatten(1, (2, 2)) + noise[:, :2]).detach()
    rate = (logits.argmax(2) == 1).double().mean()
    p = logits.softmax(2)[..., 1]
    on = 2 * (rate - 0.7) * (p * (1 - p)).sum(0) / p.numel()
    torch.testing.assert_close(found, torch.stack([-on, on], 1).flatten())


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
