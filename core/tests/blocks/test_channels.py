import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from dyncore.blocks import Path
from dyncore.gating import Decision

FORMS = ["basic", "bottleneck"]
PATTERNS = ["some", "one", "none", "all"]


def salience(channels: int, pattern: str) -> torch.Tensor:
    score = torch.linspace(0.1, 1, channels, dtype=torch.float64)
    keep = torch.zeros(channels, dtype=torch.bool)
    keep[{"some": slice(0, None, 3), "one": 1, "none": slice(0), "all": slice(None)}[pattern]] = 1
    return score * keep


def normalised(norm, x):
    """Batch norm in evaluation, written out."""
    columns = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, weight, bias = (c[:, None, None] for c in columns)
    return (x - mean) / torch.sqrt(variance + norm.eps) * weight + bias


def by_channel(path: Path, x, score):
    """LC-Net Eq. 4 for one image, one channel after the other."""
    first, second, *rest = path.layers
    total = 0
    for channel in range(first.conv.out_channels):
        kernel = first.conv.weight[channel : channel + 1]
        one = F.conv2d(x, kernel, None, first.conv.stride, first.conv.padding)
        norm = first.norm
        one = (one - norm.running_mean[channel]) / (norm.running_var[channel] + norm.eps).sqrt()
        one = score[channel] * (one * norm.weight[channel] + norm.bias[channel])
        kernel = second.conv.weight[:, channel : channel + 1]
        total += F.conv2d(F.relu(one), kernel, None, second.conv.stride, second.conv.padding)
    x = second.activation(normalised(second.norm, total))
    for conv, norm, activation in rest:
        x = activation(normalised(norm, conv(x)))
    return x


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_masked_and_skipped_channels_are_the_equation(make_block, x, shortcut, form, pattern):
    path = make_block(shortcut, form=form).paths[0]
    score = salience(path.layers[0].conv.out_channels, pattern)

    masked = path(x, score.expand(len(x), -1))

    for image in range(len(x)):
        one = x[image : image + 1]
        expected = by_channel(path, one, score)
        skipped = path.run_channels(one, score > 0, score)
        torch.testing.assert_close(masked[image : image + 1], expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(skipped, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_negative_leaky_scores_multiply_before_the_activation(make_block, x, form):
    path = make_block("projection", form=form).paths[0]
    score = torch.linspace(-0.3, 1.2, path.layers[0].conv.out_channels, dtype=torch.float64)

    masked = path(x, score.expand(len(x), -1))

    expected = torch.cat([by_channel(path, one, score) for one in x.split(1)])
    torch.testing.assert_close(masked, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pattern", ["some", "none"])
@pytest.mark.parametrize("form", FORMS)
def test_weights_of_unchosen_channels_are_not_touched(make_block, x, form, pattern):
    path = make_block("projection", form=form).paths[0]
    first, second = path.layers[:2]
    score = salience(first.conv.out_channels, pattern)
    expected = path.run_channels(x[:1], score > 0, score)

    with torch.no_grad():
        off = score == 0
        first.conv.weight[off] = torch.nan
        second.conv.weight[:, off] = torch.nan
        for values in (first.norm.weight, first.norm.bias, first.norm.running_mean):
            values[off] = torch.nan

    assert path.run_channels(x[:1], score > 0, score).equal(expected)


def replace_first(block, **options):
    conv = block.conv1
    settings = {"padding": conv.padding, "bias": False} | options
    block.conv1 = nn.Conv2d(conv.in_channels, conv.out_channels, 3, **settings).double()


def hook_second(block):
    block.conv2.register_forward_pre_hook(lambda _conv, inputs: inputs[0].flip(1))


def norm_without_statistics(block):
    block.bn1 = nn.GroupNorm(2, block.bn1.num_features).double()


WHOLE = {
    "bias": lambda block: replace_first(block, bias=True),
    "circular": lambda block: replace_first(block, padding_mode="circular"),
    "groups": lambda block: replace_first(block, groups=2),
    "same": lambda block: replace_first(block, padding="same"),
    "hook": hook_second,
    "norm": norm_without_statistics,
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("change", WHOLE.values(), ids=WHOLE)
def test_layers_that_cannot_be_cut_run_whole(make_block, x, change, pattern):
    block = make_block("identity")
    change(block)
    on = salience(block.gated_channels, pattern) > 0
    table = torch.cat([on.new_ones(1), on]).expand(len(x), -1)
    decision = Decision.of(table[:, :1], table[:, 1:], dtype=torch.float64)

    masked, skipped = block(x, decision), block.run_skipped(x, decision)

    torch.testing.assert_close(masked, skipped, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_block_with_random_channels_is_the_same_masked_and_skipped(make_block, x, form, data):
    block = make_block("projection", form=form)
    channels = block.gated_channels
    table = torch.from_numpy(data.draw(arrays(bool, (len(x), channels + 1))))
    decision = Decision.of(table[:, :1], table[:, 1:], dtype=torch.float64)

    masked, skipped = block(x, decision), block.run_skipped(x, decision)

    torch.testing.assert_close(masked, skipped, rtol=0, atol=1e-12)


def test_gated_channels_are_the_first_convolutions_outputs(make_block):
    assert make_block("projection").gated_channels == 16
    assert make_block("projection", form="bottleneck").gated_channels == 4
