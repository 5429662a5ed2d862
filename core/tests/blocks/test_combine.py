import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dyncore.backbones import MobileNetV2Config
from dyncore.blocks import Granularity
from dyncore.gating import Choice, Decision

SHORTCUTS = ["identity", "pad", "projection"]
FORMS = ["basic", "bottleneck"]
HARD = torch.tensor([[True], [False], [True], [False]])


def soft(paths: int) -> Decision:
    weight = torch.linspace(0.05, 0.95, 4 * paths, dtype=torch.float64).reshape(4, paths)
    return Decision(Choice(weight > 0.5, weight.requires_grad_()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_blend_and_additive_agree_for_hard_decisions(make_block, x, shortcut, form):
    decision = Decision.of(HARD, dtype=torch.float64)
    blend = make_block(shortcut, form=form, combine="blend")
    additive = make_block(shortcut, form=form, combine="additive")

    out = blend(x, decision)

    torch.testing.assert_close(out, additive(x, decision), rtol=0, atol=1e-12)
    torch.testing.assert_close(out[HARD[:, 0]], additive(x)[HARD[:, 0]], rtol=0, atol=1e-12)
    assert out[1].equal(F.relu(blend.downsample(x))[1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_blend_is_rdinet_equation_9(make_block, x, shortcut, form):
    block = make_block(shortcut, form=form, combine="blend")
    decision = soft(1)

    out = block(x, decision)

    v = decision.weight[:, :, None, None]
    executed = F.relu(block.downsample(x) + block.paths[0](x))
    skipped = F.relu(block.downsample(x))
    torch.testing.assert_close(out, v * executed + (1 - v) * skipped, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_gradient_of_blend_by_the_weight_is_the_difference(make_block, x, shortcut):
    block = make_block(shortcut, combine="blend")
    decision = soft(1)
    upstream = torch.randn(block(x, decision).shape, dtype=torch.float64)

    gradient = torch.autograd.grad((block(x, decision) * upstream).sum(), decision.weight)[0]

    with torch.no_grad():
        difference = block(x) - F.relu(block.downsample(x))
    expected = (difference * upstream).sum((1, 2, 3))[:, None]
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("paths", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_additive_is_the_sum_over_paths(make_block, x, shortcut, form, paths):
    block = make_block(shortcut, form=form, paths=paths)
    decision = soft(paths)

    out = block(x, decision)

    for image in range(len(x)):
        one = x[image : image + 1]
        total = block.downsample(one).clone()
        for n in range(paths):
            total += decision.weight[image, n] * block.paths[n](one)
        torch.testing.assert_close(out[image : image + 1], F.relu(total), rtol=0, atol=1e-12)


@pytest.mark.parametrize("combine", ["additive", "blend"])
def test_without_a_decision_every_path_counts_in_full(make_block, x, combine):
    block = make_block("projection", combine=combine)
    on = Decision.of(torch.ones(4, 1, dtype=torch.bool), dtype=torch.float64)

    torch.testing.assert_close(block(x), block(x, on), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_block_leaves_its_input_alone(make_block, x, shortcut):
    before = x.clone()
    for block in (make_block(shortcut), make_block(shortcut, combine="blend")):
        for decision in (None, soft(1)):
            block(x, decision)
    block.run_skipped(x, Decision.of(HARD, dtype=torch.float64))

    assert x.equal(before)


def test_only_one_path_without_a_shortcut_is_not_gated():
    def gated(paths: int) -> list[bool]:
        backbone = MobileNetV2Config(width=0.35).build(2, granularity=Granularity(paths=paths))
        assert all(isinstance(block.downsample, nn.Identity | None) for block in backbone.blocks)
        return [block.gated for block in backbone.blocks]

    has_shortcut = [False, False, True, False, True, True, False, True, True, True]
    has_shortcut += [False, True, True, False, True, True, False]
    assert gated(1) == has_shortcut
    assert gated(2) == [False] + [True] * 16


def test_blend_of_several_paths_is_refused(make_block):
    with pytest.raises(ValueError, match="combine='blend' needs one path per block, not 2"):
        make_block(combine="blend", paths=2)
