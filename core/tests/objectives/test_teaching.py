"""Teachers: another network, and the network's own full path."""

import copy
from math import exp, log

import pytest
import torch
from torch.testing import assert_close

from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.gating import Decision, ExecutionPath
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.objectives import FullPathConfig, TeacherConfig, distillation

PREPROCESSING = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), size=13)


@pytest.fixture
def batch(images) -> Batch:
    return Batch(images, torch.tensor([0, 1, 2, 3, 4, 0]), torch.arange(6))


def softmax(logits: list[float], temperature: float) -> list[float]:
    powers = [exp(x / temperature) for x in logits]
    return [power / sum(powers) for power in powers]


def test_hintons_loss_against_plain_numbers():
    student, teacher = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    expected = 0.0
    for said, known in zip(student.tolist(), teacher.tolist(), strict=True):
        pairs = zip(softmax(known, 3.0), softmax(said, 3.0), strict=True)
        expected += 9 * sum(p * (log(p) - log(q)) for p, q in pairs) / 3
    student.requires_grad_()
    teacher.requires_grad_()
    loss = distillation(student, teacher, 3.0)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert teacher.grad is None
    assert distillation(teacher, teacher, 3.0).item() == pytest.approx(0, abs=1e-12)


@pytest.fixture
def taught(networks, tmp_path):
    """A teacher part, and the network that it was saved from."""
    saved = copy.deepcopy(networks["static"])
    saved.info = ModelInfo(preprocessing=PREPROCESSING)
    saved.save_pretrained(tmp_path)
    student = copy.deepcopy(networks["blend"]).train()
    part = TeacherConfig(model=str(tmp_path), weight=0.5, temperature=2.0).build(
        student, cost_table(student, (3, 13, 16))
    )
    return part.train(), saved, student


def test_a_teacher_sees_the_images_as_it_was_trained_and_never_changes(taught, batch):
    part, saved, student = taught
    before = copy.deepcopy(part.state_dict())
    output = student(batch.images * 2)  # another preprocessing than the teacher's
    (term,) = part(batch, output).values()
    known = saved(PREPROCESSING.normalize(batch.images)).logits
    assert_close(term, 0.5 * distillation(output.logits, known, 2.0))
    term.backward()
    assert all(parameter.grad is None for parameter in part.parameters())
    assert not part.network.training
    for name, tensor in part.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_teacher_of_other_classes_is_refused(networks, tmp_path):
    student = networks["blend"]
    table = cost_table(student, (3, 13, 16))
    other = copy.deepcopy(networks["static"])
    other.info = ModelInfo(classes=tuple("abcde"))
    other.save_pretrained(tmp_path)
    mine = copy.copy(student)
    mine.info = ModelInfo(classes=tuple("abced"))
    with pytest.raises(ValueError, match="other classes than the data"):
        TeacherConfig(model=str(tmp_path)).build(mine, table)
    with pytest.raises(ValueError, match=r"set objective\.teacher\.model"):
        TeacherConfig().build(mine, table)


@pytest.mark.parametrize("name", ["blend", "n2-basic", "channels-basic"])
def test_the_full_path_learns_labels_and_teaches(networks, batch, name):
    """Against the same terms from a copy of the network that is run by hand."""
    model = copy.deepcopy(networks[name]).train()
    part = FullPathConfig(cross_entropy=0.7, distillation=0.3, temperature=2.0).build(
        model, cost_table(model, (3, 13, 16))
    )
    assert not list(part.parameters())  # the model is nobody's part
    output = model(batch.images)
    norms = {key: value.clone() for key, value in model.state_dict().items() if "running" in key}
    terms = part(batch, output)
    for key, value in norms.items():
        assert torch.equal(model.state_dict()[key], value), key
    twin = copy.deepcopy(model)
    ones = [Decision.of(d.on | True, d.channels and (d.channels.on | True)) for d in output.path]
    full = twin(batch.images, path=ExecutionPath(tuple(ones))).logits
    expected = torch.nn.functional.cross_entropy(full, batch.labels)
    assert_close(terms["full"], 0.7 * expected)
    assert_close(terms["taught"], 0.3 * distillation(output.logits, full, 2.0))
    terms["full"].backward()
    grads = [parameter.grad for parameter in model.backbone.parameters()]
    (0.7 * expected).backward()
    for found, parameter in zip(grads, twin.backbone.parameters(), strict=True):
        assert_close(found, parameter.grad)


def test_a_static_network_is_its_full_path(networks):
    model: DynamicNetwork = networks["static"]
    with pytest.raises(ValueError, match="the network needs gates"):
        FullPathConfig().build(model, cost_table(model, (3, 13, 16)))


@pytest.mark.parametrize(
    "values", [{"weight": -1.0}, {"weight": float("inf")}, {"temperature": 0.0}]
)
def test_wrong_values_are_refused(values):
    with pytest.raises(ValueError, match="must be"):
        TeacherConfig(**values)
