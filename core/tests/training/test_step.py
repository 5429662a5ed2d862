"""Model and objective as one module, and what a phase trains of it."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig, Objective, ObjectivePart
from dyncore.recipes import Phase
from dyncore.training import TrainingStep, draw_decisions, set_trainable

PREPROCESSING = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), size=13)
WHERE = {"seed": 0, "step": 0, "batch": 6, "share": slice(0, 6)}


class Distillation(ObjectivePart):
    """A head that learns, and a teacher that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 5).double()
        self.teacher = nn.Linear(5, 5).double().requires_grad_(False)

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        return {"distil": (self.head(output.logits) - self.teacher(output.logits)).square().mean()}


@pytest.fixture
def batch(images) -> Batch:
    return Batch(images, torch.tensor([0, 1, 2, 3, 4, 0]), torch.arange(6))


def module(network: DynamicNetwork) -> TrainingStep:
    network = copy.deepcopy(network).train()
    table = cost_table(network, (3, 13, 16))
    parts = {
        "classification": CrossEntropyConfig().build(network, table),
        "rate": ExecutionRateConfig(target=0.3).build(network, table),
        "distil": Distillation(),
    }
    step = TrainingStep(network, Objective(parts), table, PREPROCESSING)
    for part in step.modules():
        if isinstance(part, nn.Dropout):
            part.eval()
    return step


@pytest.mark.parametrize("name", ["blend", "n2-mobilenetv2", "channels-basic"])
def test_one_step_is_normalise_network_objective_sum(networks, batch, name):
    step = module(networks[name])
    noise, _ = draw_decisions(step.model, Phase(name="train", epochs=1.0), **WHERE)
    result = step(batch, noise, None, None)
    mean, std = torch.tensor([PREPROCESSING.mean, PREPROCESSING.std], dtype=torch.float64)[
        ..., None, None
    ]
    output = step.model((batch.images - mean) / std, noise=noise)
    terms = step.objective(batch, output)
    assert_close(result.terms, {name: term.detach() for name, term in terms.items()})
    assert_close(result.loss, sum(terms.values()))
    gated = [on for block in step.model.gates for on in output.path[int(block)].on.flatten()]
    assert result.rate.item() == pytest.approx(sum(gated).item() / len(gated))
    macs = step.table.macs(output.path).double().mean().item()
    assert result.macs_ratio.item() == pytest.approx(macs / step.table.static)
    assert not result.rate.requires_grad


def test_forced_paths_are_what_runs(networks, batch):
    step = module(networks["blend"])
    _, on = draw_decisions(step.model, Phase(name="w", epochs=1.0, paths="uniform"), **WHERE)
    seen: list[Output] = []
    step.model.register_forward_hook(lambda _model, _images, output: seen.append(output))
    result = step(batch, None, on, frozenset({"classification"}))
    assert torch.equal(seen[0].path.on, on)
    assert result.terms.keys() == {"classification"}
    assert result.rate.item() == pytest.approx(on.float().mean().item())


def test_a_static_network_executes_everything(networks, batch):
    network = copy.deepcopy(networks["static"])
    table = cost_table(network, (3, 13, 16))
    parts = {"classification": CrossEntropyConfig().build(network, table)}
    result = TrainingStep(network, Objective(parts), table, PREPROCESSING)(batch, None, None, None)
    assert (result.rate.item(), result.macs_ratio.item()) == (1.0, 1.0)


ALL = {"backbone", "routers", "gates", "head"}


@pytest.mark.parametrize(
    ("phase", "trained"),
    [
        (Phase(name="all", epochs=1.0), ALL),
        (Phase(name="blocks", epochs=1.0, paths="uniform"), {"backbone", "head"}),
        (Phase(name="parts", epochs=1.0, objective=("rate",)), ALL - {"head"}),
        (
            Phase(name="both", epochs=1.0, paths="uniform", objective=("classification",)),
            {"backbone"},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Phase) else "",
)
def test_what_a_phase_trains(networks, phase, trained):
    step = module(networks["blend"])
    # Whatever an earlier phase has left behind.
    set_trainable(step, Phase(name="w", epochs=1.0, paths="uniform", objective=("rate",)))
    names = {
        "backbone": step.model.backbone,
        "routers": step.model.routers,
        "gates": step.model.gates,
        "head": step.objective.parts["distil"].head,
        "teacher": step.objective.parts["distil"].teacher,
    }
    returned = {id(parameter) for parameter in set_trainable(step, phase)}
    for name, part in names.items():
        for parameter in part.parameters():
            assert parameter.requires_grad == (name in trained), name
            assert (id(parameter) in returned) == (name in trained), name
