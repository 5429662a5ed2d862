"""Stage exits against Eq. 6 and 11; they leave nothing behind in the network."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dyn_spnet import EvolutionConfig, SlowProgressConfig, StageExits
from dyn_spnet.method import METHOD
from dyncore import DynamicNetwork, Output, create_model
from dyncore.backbones import ResNetConfig
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicConfig

EXITS = SlowProgressConfig(twin=None, evolution=None)


def stage_ends(model: DynamicNetwork, images, **options) -> tuple[Output, list[torch.Tensor]]:
    """The output, and what each stage gave."""
    ends: list[torch.Tensor] = []
    stages = [model.backbone.get_submodule(f"layer{stage}") for stage in (1, 2, 3)]
    hooks = [
        stage[-1].register_forward_hook(lambda _module, _x, end: ends.append(end))
        for stage in stages
    ]
    output = model(images, **options)
    for hook in hooks:
        hook.remove()
    return output, ends


def test_every_exit_is_eq_6(model, images, build):
    exits = build(model, EXITS).exits
    output, ends = stage_ends(model, images)
    logits = exits(output)
    assert len(logits) == 3
    for k in (0, 1):
        align, classify = exits.align[k], exits.classify[k]
        for image in range(len(images)):
            pooled = torch.stack([channel.sum() / channel.numel() for channel in ends[k][image]])
            aligned = align.weight @ pooled + align.bias
            expected = classify.weight @ aligned + classify.bias
            torch.testing.assert_close(logits[k][image], expected)
    assert logits[2] is output.logits


def test_alignments_lead_to_the_width_of_the_last_stage(model, build):
    exits = build(model, EXITS).exits
    assert [tuple(a.weight.shape) for a in exits.align] == [(10, 4), (10, 6)]
    assert [tuple(c.weight.shape) for c in exits.classify] == [(5, 10)] * 2


def test_the_exits_of_a_bottleneck_network_are_as_wide_as_its_head():
    with torch.device("meta"):
        model = create_model("vanilla-resnet50")
        exits = StageExits(model, [[0, 1, 2], [3, 4, 5, 6], list(range(7, 13)), [13, 14, 15]])
    assert [a.in_features for a in exits.align] == [256, 512, 1024]
    assert (
        {a.out_features for a in exits.align} == {2048} == {c.in_features for c in exits.classify}
    )


def test_classification_of_all_exits_is_eq_11(model, batch, images, build):
    """The last exit is in the recipe's own cross-entropy."""
    part = build(model, EXITS)
    output = model(images)
    terms = part(batch, output)
    expected = 0.0
    for y in part.exits(output)[:-1]:
        for image, label in enumerate(batch.labels):
            expected -= (y[image, label] - y[image].exp().sum().log()).item() / len(images)
    assert list(terms) == ["exits"]
    assert terms["exits"].item() == pytest.approx(expected, rel=1e-12)
    fifth = build(model, replace(EXITS, exits_weight=0.2))(batch, output)["exits"]
    assert fifth.item() == pytest.approx(0.2 * expected, rel=1e-12)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_bad_weight_is_named(weight):
    message = f"exits_weight must be finite and not negative, not {weight}"
    with pytest.raises(ValueError, match=message):
        SlowProgressConfig(exits_weight=weight)


def test_exits_teach_the_stages_before_them_and_no_later_one(model, batch, output, build):
    build(model, EXITS)(batch, output)["exits"].backward()
    for stage, expected in ((1, True), (2, True), (3, False)):
        for parameter in model.backbone.get_submodule(f"layer{stage}").parameters():
            assert (parameter.grad is not None and bool(parameter.grad.any())) == expected
    assert model.backbone.fc.weight.grad is None


def test_a_saved_model_has_no_exits_and_no_twin(model, batch, output, build, tmp_path):
    before = list(model.state_dict())
    part = build(model, SlowProgressConfig())
    sum(part(batch, output).values()).backward()
    part.after_step(model)
    assert list(model.state_dict()) == before
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    vanilla = DynamicNetwork(model.config)
    assert set(saved) == set(vanilla.state_dict())
    description = json.loads((tmp_path / "config.json").read_text())
    assert list(description["requires"]) == ["dyncore"]


def test_a_forced_path_has_no_exits(model, images, batch, build):
    on = torch.ones(len(images), len(model.backbone.blocks), dtype=torch.bool)
    path = ExecutionPath.of(on, model.paths_per_block, dtype=images.dtype)
    with pytest.raises(ValueError, match="the end of block 2: leave stage exits and feature evol"):
        build(model, EXITS)(batch, model(images, path=path))


@pytest.mark.parametrize(
    "config",
    [EXITS, SlowProgressConfig(exits=False, evolution=EvolutionConfig(strategy="resolution"))],
)
def test_a_network_without_routers_is_refused(model, build, config):
    static = DynamicNetwork(DynamicConfig(backbone=model.config.backbone, num_classes=5))
    with pytest.raises(ValueError, match="no router looks at block 1: turn both off"):
        build(static, config)


def test_a_network_of_one_stage_has_one_exit(batch, images, build):
    backbone = ResNetConfig(block="basic", depths=(2,), widths=(4,), stem="cifar")
    model = DynamicNetwork(METHOD.configure(backbone, 1, 5)).double()
    part = build(model, SlowProgressConfig())
    terms = part(batch, model(images))
    assert terms["exits"].item() == terms["evolution"].item() == 0.0
    assert terms["path"].isfinite()
    assert not list(part.exits.parameters())
    assert isinstance(part.twin, nn.Module)
