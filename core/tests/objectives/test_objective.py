"""The sum of parts, and their configurations."""

import json

import pytest
import torch
from torch import Tensor

from dyncore.cost import cost_table
from dyncore.data import Batch
from dyncore.gating import config_to_dict
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import (
    CrossEntropyConfig,
    ExecutionRateConfig,
    FlopsRatioConfig,
    Objective,
    ObjectivePart,
)
from dyncore.parts import part_config, registered


class Fixed(ObjectivePart):
    """The given terms, and a count of its calls."""

    def __init__(self, **terms: float) -> None:
        super().__init__()
        self.terms = terms
        self.calls = 0
        self.stepped: list[DynamicNetwork] = []

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        self.calls += 1
        return {name: torch.tensor(value) for name, value in self.terms.items()}

    def after_step(self, model: DynamicNetwork) -> None:
        self.stepped.append(model)


@pytest.fixture
def batch(images) -> Batch:
    return Batch(images, torch.tensor([0, 1, 2, 3, 4, 0]), torch.arange(6))


@pytest.fixture
def output(networks, images) -> Output:
    return networks["blend"](images, relaxed=True)


def test_terms_of_all_parts_by_name(batch, output):
    objective = Objective({"a": Fixed(x=1.0, y=2.0), "b": Fixed(z=3.0)})
    terms = {name: term.item() for name, term in objective(batch, output).items()}
    assert terms == {"x": 1.0, "y": 2.0, "z": 3.0}


def test_only_active_parts_are_computed(batch, output):
    objective = Objective({"a": Fixed(x=1.0), "b": Fixed(z=3.0)})
    assert objective(batch, output, frozenset({"b"})).keys() == {"z"}
    assert [part.calls for part in objective.parts.values()] == [0, 1]


def test_two_terms_of_one_name_are_refused(batch, output):
    objective = Objective({"a": Fixed(x=1.0), "b": Fixed(x=1.0)})
    with pytest.raises(ValueError, match="two objective parts give a term named 'x'"):
        objective(batch, output)
    assert objective(batch, output, frozenset({"a"})).keys() == {"x"}


def test_after_step_reaches_every_part(networks):
    objective = Objective({"a": Fixed(), "b": Fixed()})
    objective.after_step(networks["blend"])
    assert [part.stepped for part in objective.parts.values()] == [[networks["blend"]]] * 2


@pytest.mark.parametrize("name", ["blend", "n2-mobilenetv2", "channels-basic"])
def test_budget_terms_reach_the_gates(networks, images, batch, name):
    network = networks[name]
    table = cost_table(network, (3, 13, 16))
    parts = {
        "rate": ExecutionRateConfig(target=0.1).build(network, table),
        "flops": FlopsRatioConfig(target=0.1).build(network, table),
    }
    terms = Objective(parts)(batch, network(images, relaxed=True))
    assert terms.keys() == {"rate", "flops"}
    heads = [gate.head.weight for gate in network.gates.values()]
    for term in terms.values():
        for gradient in torch.autograd.grad(term, heads, retain_graph=True):
            assert gradient.isfinite().all()
            assert gradient.any()


@pytest.mark.parametrize("config", [ExecutionRateConfig, FlopsRatioConfig])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", -0.1),
        ("target", 1.1),
        ("target", float("nan")),
        ("weight", -1.0),
        ("weight", float("inf")),
        ("weight", float("nan")),
    ],
)
def test_bad_budget_settings_are_refused(config, field, value):
    settings = {"target": 0.5} | {field: value}
    with pytest.raises(ValueError, match=f"^{field} must be .*, not {value}"):
        config(**settings)


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_bad_label_smoothing_is_refused(value):
    with pytest.raises(ValueError, match=r"^label_smoothing must be in \[0, 1\], not"):
        CrossEntropyConfig(label_smoothing=value)


@pytest.mark.parametrize(
    "config",
    [
        CrossEntropyConfig(label_smoothing=0.1),
        ExecutionRateConfig(target=0.5, weight=0.25, reads="training"),
        FlopsRatioConfig(target=1.0),
    ],
    ids=lambda config: config.name,
)
def test_configurations_come_back_from_json(config):
    assert registered("objectives")[config.name] is type(config)
    assert part_config("objectives", json.loads(json.dumps(config_to_dict(config)))) == config
