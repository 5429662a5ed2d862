"""Each check passes what is sound, and fails what is broken with an error that says how."""

import sys
import types

import pytest
from broken_parts import (
    BrokenGateConfig,
    BrokenRouterConfig,
    LocalRateConfig,
    OverflowConfig,
)

from dyncore.backbones import ResNetConfig
from dyncore.gating import ShortRangeRouterConfig
from dyncore.network import DynamicConfig
from dyncore.objectives import CrossEntropyConfig
from dyncore.parts import registered
from dyncore.recipes import Phase
from dyncore.testing import (
    CHECKS,
    Case,
    check_batch_mates,
    check_bf16,
    check_determinism,
    check_dry_run,
    check_engine,
    check_gradients,
    check_macs,
    check_processes,
    check_saving,
    check_skipping,
)


def case(fault="none", gate=None, *, router=None, phases=None, **objective):
    backbone = ResNetConfig(block="basic", depths=(1, 1), widths=(4, 8), stem="cifar")
    return Case(
        name="mine",
        network=DynamicConfig(
            backbone=backbone,
            num_classes=4,
            router=router or BrokenRouterConfig(fault=fault),
            gate=gate or BrokenGateConfig(),
        ),
        objective={"classification": CrossEntropyConfig(), **objective},
        phases=phases or (Phase(name="train", epochs=1.0),),
        image_size=8,
    )


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(registered("routers"), "broken", BrokenRouterConfig)
    monkeypatch.setitem(registered("gates"), "broken", BrokenGateConfig)


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_sound_passes(check, tmp_path):
    check(case(), tmp_path)


BROKEN = [
    (
        check_gradients,
        case("unused parameter"),
        r"mine, phase 'train': model\.routers\.0\.fault\.unused gets no gradient",
    ),
    (
        check_gradients,
        case("zero gradient"),
        r"zero in each of 8 batches for model\.routers\.0\.fault\.dead, model\.routers\.1\.",
    ),
    (
        check_gradients,
        case("infinite gradient"),
        r"the gradient of model\.\S+ is not finite in batch 0",
    ),
    (check_gradients, case(rate=OverflowConfig()), "the term 'overflow' is (inf|-inf|nan)"),
    (check_determinism, case("noise"), "two evaluations of the same images"),
    (check_determinism, case("memory"), "two evaluations of the same images"),
    (check_determinism, case("counter"), r"evaluation changed routers\.0\.fault\.images"),
    (
        check_batch_mates,
        case("batch mean"),
        r"images \[0\] of 8 in a batch of their own: other path decisions in block",
    ),
    (
        check_skipping,
        case(gate=BrokenGateConfig(off=0.1)),
        r"skipped and masked: (logits: differ by \S+, allowed are|other path decisions in block)",
    ),
    (
        check_engine,
        case(gate=BrokenGateConfig(sign=-1)),
        r"engine and masked routed, batch \d+: other path decisions in block",
    ),
    (check_macs, case("hidden layer"), r"image 0 executed [\d,]+ MACs on a routed path, the cost"),
    (check_saving, case("unsaved buffer"), "outputs after loading .* not in the state_dict"),
    (check_processes, case(rate=LocalRateConfig()), "'local rate' .*global_mean.* differ by"),
    (check_bf16, case("needs precision"), r"in bf16: (the term|the gradient) .* (is|not) "),
    (
        check_bf16,
        case(gate=BrokenGateConfig(cast=False)),
        r"masked evaluation in bf16: weights of block 0 are torch\.bfloat16",
    ),
]


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN)
def test_what_is_broken_fails(check, broken, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        check(broken, tmp_path)


def test_every_check_has_something_that_it_fails():
    elsewhere = {check_dry_run}  # core/tests/compatibility/test_devices.py
    assert {check for check, _, _ in BROKEN} == {*CHECKS} - elsewhere


def test_saving_fails_where_another_part_is_registered_under_the_name(tmp_path, monkeypatch):
    monkeypatch.setitem(registered("routers"), "short-range", SameNameConfig)
    with pytest.raises(ValueError, match="has the name of another installed part"):
        check_saving(case(router=ShortRangeRouterConfig(dim=4)), tmp_path)


class SameNameConfig(ShortRangeRouterConfig):
    pass


def test_a_parameter_may_wait_for_another_to_leave_zero(tmp_path):
    check_gradients(case("zero start"), tmp_path)


def test_a_phase_is_asked_only_for_what_it_trains(tmp_path):
    warm_up = Phase(name="warm-up", epochs=1.0, paths="uniform")
    check_gradients(case("unused parameter", phases=(warm_up,)), tmp_path)


def test_each_phase_is_checked(tmp_path):
    phases = (
        Phase(name="warm-up", epochs=1.0, paths="uniform"),
        Phase(name="finish", epochs=1.0, objective=("classification",)),
    )
    with pytest.raises(AssertionError, match=r"phase 'finish': model\.routers\.0"):
        check_gradients(case("unused parameter", phases=phases), tmp_path)


def test_a_part_that_other_processes_cannot_import_is_named_and_stops_no_later_check(
    tmp_path, monkeypatch
):
    here_only = types.ModuleType("here_only")
    here_only.RateConfig = type("RateConfig", (LocalRateConfig,), {"__module__": "here_only"})
    monkeypatch.setitem(sys.modules, "here_only", here_only)

    with pytest.raises(ModuleNotFoundError, match="here_only"):
        check_processes(case(rate=here_only.RateConfig()), tmp_path)
    check_processes(case(), tmp_path)
