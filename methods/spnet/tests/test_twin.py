"""The twin against Eq. 5, 7, 8 written as loops; it learns nothing and hears the same noise."""

import copy

import pytest
import torch
from torch import Tensor, nn

from dyn_spnet import (
    SlowProgressConfig,
    StageExits,
    Twin,
    TwinConfig,
    logits_distillation,
    path_distillation,
)
from dyncore import DynamicNetwork, cost_table
from dyncore.backbones import MobileNetV2Config
from dyncore.blocks import Granularity
from dyncore.data import Preprocessing
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.kernels import install_kernels
from dyncore.network import DynamicConfig, Output
from dyncore.objectives import CrossEntropyConfig, Objective
from dyncore.recipes import Phase
from dyncore.training import TrainingStep, set_trainable

MOMENTUM = 0.6
CONFIG = SlowProgressConfig(twin=TwinConfig(momentum=MOMENTUM))


def draw(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def state(*modules: nn.Module) -> list[tuple[bool, str, Tensor]]:
    """(is a parameter, name, values) of everything in the modules."""
    found = [(True, n, p) for m in modules for n, p in m.named_parameters()]
    found += [(False, n, b) for m in modules for n, b in m.named_buffers()]
    return [(trained, name, tensor.detach().clone()) for trained, name, tensor in found]


def test_the_twin_follows_by_eq_5(model, images, batch, build):
    """Parameters by the equation from the initial ones on, buffers as the network has them."""
    part = build(model, CONFIG)
    expected = [tensor for _, _, tensor in state(model, part.exits)]
    assert [torch.equal(t, e) for (_, _, t), e in zip(state(part.twin), expected, strict=True)]
    optimizer = torch.optim.SGD([*model.parameters(), *part.exits.parameters()], lr=0.05)
    for step in range(4):
        noise = model.draw_noise(len(images), torch.Generator().manual_seed(step))
        output = model(images + step, noise=noise)
        loss = output.logits.square().mean() + sum(part(batch, output).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        part.after_step(model)
        for place, (trained, _, tensor) in enumerate(state(model, part.exits)):
            if trained:
                expected[place] = MOMENTUM * expected[place] + (1 - MOMENTUM) * tensor
            else:
                expected[place] = tensor
    found = state(part.twin)
    assert len(found) == len(expected) > 100
    for (trained, name, tensor), values in zip(found, expected, strict=True):
        if trained:
            torch.testing.assert_close(tensor, values, rtol=1e-12, atol=1e-14, msg=name)
        else:
            assert torch.equal(tensor, values), name
    students = [tensor for _, _, tensor in state(model, part.exits)]
    behind = [not torch.equal(t, s) for (_, _, t), s in zip(found, students, strict=True)]
    assert sum(behind) > 50


def test_the_twin_has_parameters_of_its_own(model, build):
    part = build(model, CONFIG)
    own = {tensor.data_ptr() for tensor in (*part.twin.parameters(), *part.twin.buffers())}
    students = {t.data_ptr() for m in (model, part.exits) for t in (*m.parameters(), *m.buffers())}
    assert not own & students


def test_the_twin_gets_no_gradient(model, batch, output, build):
    part = build(model, CONFIG)
    terms = part(batch, output)
    (terms["path"] + terms["logits"]).backward()
    assert not any(p.requires_grad or p.grad is not None for p in part.twin.parameters())
    heads = [gate.head.weight for gate in model.gates.values()]
    assert all(p.grad is not None and p.grad.any() for p in [*heads, *part.exits.parameters()])


def test_no_phase_trains_the_twin(model, build):
    parts = {"progress": build(model, CONFIG)}
    table = cost_table(model, (3, 12, 12))
    statistics = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=12)
    step = TrainingStep(model, Objective(parts), table, statistics)
    trained = {id(p) for p in set_trainable(step, Phase(name="train", epochs=1.0))}
    assert trained == {id(p) for m in (model, parts["progress"].exits) for p in m.parameters()}
    assert not any(p.requires_grad for p in parts["progress"].twin.parameters())


def test_a_copy_decides_as_its_network_whatever_the_noise(model, batch, output, build):
    """The twin of the first step: so paths differ by what steps have changed, and by that alone."""
    part = build(model, CONFIG)
    terms = part(batch, output)
    assert terms["path"].item() == terms["logits"].item() == 0
    path, logits = part.twin.teach(output.images, output.noise)
    assert torch.equal(path, output.path.weight)
    assert torch.equal(logits[-1], output.logits)


def test_a_twin_without_noise_is_what_the_network_would_be_without(model, batch, output, build):
    part = build(model, SlowProgressConfig(twin=TwinConfig(noise=False)))
    silent = copy.deepcopy(model)(output.images, relaxed=True).path.weight
    assert ((silent > 0) & (silent < 1)).all()
    assert not torch.allclose(silent, output.path.weight)
    torch.testing.assert_close(
        part(batch, output)["path"], path_distillation(silent, output.path.weight)
    )


def test_the_twin_has_no_dropout():
    config = DynamicConfig(
        backbone=MobileNetV2Config(width=0.1, dropout=0.5),
        num_classes=5,
        granularity=Granularity(paths=2),
        router=ContextRouterConfig(dim=4),
        gate=StraightThroughGateConfig(),
    )
    model = DynamicNetwork(config).train()
    x = draw(4, 3, 32, 32, seed=0).float()
    twin = Twin(model, StageExits(model, [[0]]), TwinConfig()).train()
    assert torch.equal(twin.teach(x)[1][-1], twin.teach(x)[1][-1])
    assert not torch.equal(model(x).logits, model(x).logits)


def test_the_twin_sees_the_images_of_the_network(model, batch, build):
    """They are normalised once, for both."""
    table = cost_table(model, (3, 12, 12))
    parts = {"classification": CrossEntropyConfig().build(model, table)}
    parts["progress"] = build(model, CONFIG)
    statistics = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), size=12)
    step = TrainingStep(model, Objective(parts), table, statistics)
    seen: list[Tensor] = []
    for network in (model, parts["progress"].twin.model):
        network.register_forward_pre_hook(lambda _model, images: seen.append(images[0]))
    step(batch, None, None, None)
    assert len(seen) == 2
    assert torch.equal(seen[0], statistics.normalize(batch.images))
    assert torch.equal(seen[0], seen[1])


def test_the_gates_of_the_twin_are_annealed_with_those_of_the_network(model, build):
    part = build(model, CONFIG)
    table = cost_table(model, (3, 12, 12))
    statistics = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=12)
    TrainingStep(model, Objective({"progress": part}), table, statistics).anneal(3.0)
    gates = [*model.gates.values(), *part.twin.model.gates.values()]
    assert [gate.temperature.item() for gate in gates] == [3.0] * 20


@pytest.mark.parametrize("before", [True, False], ids=["before it is copied", "after"])
def test_the_twin_answers_in_fused_form_where_its_network_trains_so(model, batch, build, before):
    if before:
        install_kernels(model)
    plain = build(copy.deepcopy(model), CONFIG)
    for block in plain.twin.model.backbone.blocks:
        block.fused = None
    part = build(model, CONFIG)
    if not before:
        install_kernels(nn.ModuleList([model, part]))
    twin, fused = part.twin.model, []
    assert twin.pool is not None

    def counted(block, x, decision):
        out = form(block, x, decision)
        fused.append(out is not None)
        return out

    form = twin.backbone.blocks[0].fused
    for block in twin.backbone.blocks:
        assert block.fused is form
        block.fused = counted
    images = batch.images
    path, logits = part.twin.teach(images)
    expected_path, expected_logits = plain.twin.teach(images)
    assert fused == [True] * 10
    torch.testing.assert_close(path, expected_path, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-9, atol=1e-9)


def test_an_output_without_images_is_refused(model, batch, output, build):
    part = build(model, CONFIG)
    bare = Output(output.logits, output.path, output.router_features, output.pooled)
    with pytest.raises(ValueError, match=r"the twin needs output\.images"):
        part(batch, bare)


def test_path_distillation_is_eq_7():
    teacher, student = draw(5, 7, seed=0).sigmoid(), draw(5, 7, seed=1).sigmoid()
    expected = 0.0
    for image in range(5):
        for block in range(7):
            expected += (teacher[image, block].item() - student[image, block].item()) ** 2 / 5
    assert path_distillation(teacher, student).item() == pytest.approx(expected, rel=1e-12)


def test_logits_distillation_is_eq_8():
    teacher = [draw(4, 6, seed=k) * 3 for k in range(3)]
    student = [draw(4, 6, seed=k + 9) * 2 for k in range(3)]
    expected = 0.0
    for t, d in zip(teacher, student, strict=True):
        for image in range(4):
            p, q = (y[image].exp() / y[image].exp().sum() for y in (t, d))
            for label in range(6):
                expected += (p[label] * (p[label] / q[label]).log()).item() / 4
    assert logits_distillation(teacher, student).item() == pytest.approx(expected, rel=1e-12)
    assert logits_distillation(student, teacher).item() != pytest.approx(expected, rel=1e-3)


def test_the_terms_are_weighted(model, batch, output, build):
    config = TwinConfig(path_weight=0.3, logits_weight=7.0, noise=False)
    part = build(model, SlowProgressConfig(twin=config))
    terms = part(batch, output)
    path, logits = part.twin.teach(output.images)
    torch.testing.assert_close(terms["path"], 0.3 * path_distillation(path, output.path.weight))
    torch.testing.assert_close(
        terms["logits"], 7.0 * logits_distillation(logits, part.exits(output))
    )
    assert len(logits) == 3


def test_without_exits_the_twin_teaches_its_head(model, batch, output, build):
    config = SlowProgressConfig(exits=False, evolution=None, twin=TwinConfig(noise=False))
    part = build(model, config)
    terms = part(batch, output)
    assert list(terms) == ["path", "logits"]
    _, logits = part.twin.teach(output.images)
    torch.testing.assert_close(terms["logits"], 0.5 * logits_distillation(logits, [output.logits]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), not 1.0"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\), not -0.1"),
        ({"path_weight": -1.0}, "path_weight must be finite and not negative, not -1.0"),
        ({"logits_weight": float("nan")}, "logits_weight must be finite and not negative, not nan"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        TwinConfig(**fields)
