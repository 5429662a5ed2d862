"""``dyn show``: a recipe beside the print."""

import re

import pytest

from dyncore.recipes import find_print, find_recipe


def rows(out: str) -> dict[str, list[str]]:
    """By option: mark and cells."""
    found = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    return {cells[1]: [cells[0], *cells[2:]] for cells in found if cells[0] in "=~≠?" and cells[1:]}


def test_every_setting_stands_beside_the_print(dyn):
    name = "vanilla-resnet110-cifar10-b0.6"
    ended = dyn("show", name)
    assert ended.status == 0
    assert ended.out.startswith(f"{name}: paper RDI-Net; place Figure 5(a), Vanilla; ")
    shown = rows(ended.out)
    assert shown["batch_size"] == ["=", "256", "256", "section 4.1"]
    assert shown["optimizer.momentum"] == ["~", "0.9", "0.9", "SP-Net section 4.1"]
    assert shown["phases.0.schedule.milestones"] == ["~", "250 300", "250 300", "RDI-Net's code"]
    compared = find_print(name).compare(find_recipe(name))
    assert list(shown) == [row.option for row in compared]
    assert {cells[0] for cells in shown.values()} == {"=", "~"}


def test_what_we_changed_stands_with_its_reason(dyn):
    shown = rows(dyn("show", "vanilla-resnet110-cifar10-b0.6-tuned").out)
    assert shown["optimizer.router_learning_rate"] == [
        *(
            "≠",
            "0.01",
            "None",
            "at the blocks' learning rate the decisions of routers and gates swing",
        )
    ]
    assert shown["phases.0.annealing.start"][:3] == ["≠", "8", "None"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one recipe"),
        (["a", "b"], "name one recipe"),
        (["vanilla-resnet110-cifar10-b0.66"], "did you mean .*vanilla-resnet110-cifar10-b0.6"),
    ],
)
def test_a_wrong_name_is_refused(dyn, arguments, message):
    ended = dyn("show", *arguments)
    assert ended.status == 2
    assert re.search(message, ended.message)
