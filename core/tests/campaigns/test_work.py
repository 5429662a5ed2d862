"""A campaign that is stopped, killed and gone on with ends as one that never was.

Every run is a process of its own, so few of them are started.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dyncore.campaigns import CampaignStopped, Result, State, Work, Workplace, survey
from dyncore.campaigns._perform import perform
from dyncore.campaigns._sitting import Sitting, claimed, is_claimed

from .conftest import TEXT, open_campaign

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def states(place: Workplace) -> dict[str, State]:
    return {status.run.name: status.state for status in survey(place, place.campaign.runs)}


def when_saved(folder: Path, step: int, strike) -> threading.Thread:
    """Call ``strike`` as soon as there is a checkpoint of ``step`` steps or more."""

    def watch() -> None:
        while max((int(p.name[5:]) for p in folder.glob("*/checkpoints/step-*")), default=0) < step:
            time.sleep(0.01)
        strike()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def whole(tmp_path_factory, _on_cpu) -> Workplace:
    """The first runs of the campaign, never stopped."""
    place = open_campaign(tmp_path_factory.mktemp("whole"))
    for run in place.campaign.runs[:4]:
        perform(place, run)
    return place


@pytest.mark.nightly
def test_stopped_and_killed_it_goes_on_where_it_was(tmp_path, whole):
    lost = (
        '[runs.lost]\nrecipe = "static-resnet20-digits"\ninit = "none"\n'
        '[models]\nnone = "a folder that is not there"\n'
    )
    place, said = open_campaign(tmp_path, TEXT + lost, none=str(tmp_path / "none")), []
    static, vanilla, _, _, lost, other = place.campaign.runs
    folder, work = place.folder(static), Work(place, jobs=2, say=said.append)
    assert states(place) == {
        "static-s0": State.OPEN,
        "vanilla-s0": State.WAITING,
        "subnet-s0": State.WAITING,
        "random-s0": State.WAITING,
        "lost-s0": State.OPEN,
        "vanilla-s1": State.WAITING,
    }

    when_saved(folder, 10, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(CampaignStopped, match="SIGTERM: stopped; the same command goes on"):
        work.do([static, vanilla])
    assert not place.result_file(static).exists()

    def kill() -> None:
        assert states(place)["static-s0"] is State.RUNNING
        ((_, process),) = work._going.values()
        os.kill(process.pid, signal.SIGKILL)

    work = Work(place, jobs=2, say=said.append)
    striking = when_saved(folder, 20, kill)
    assert work.do([static, vanilla]) == ["static-s0"]
    striking.join()
    assert states(place)["static-s0"] is State.OPEN

    work = Work(place, jobs=2, say=said.append)
    assert work.do([lost, static, vanilla]) == ["lost-s0"]
    assert states(place).pop("vanilla-s0") is State.DONE
    assert {states(place)[run.name] for run in (other, lost)} == {State.OPEN}
    assert said[-1].startswith("vanilla-s0: accuracy 0.")
    (line,) = [line for line in said if line.startswith("lost-s0 failed: ")]
    assert str(tmp_path / "none") in line
    for run in (static, vanilla):
        found, expected = (Result.load(there.result_file(run)) for there in (place, whole))
        assert found.sittings == (3 if run is static else 1)
        same = replace(found, sittings=1, seconds=expected.seconds, machine=expected.machine)
        assert same == expected


def test_what_is_done_is_not_run_again(whole):
    before = {file: file.stat().st_mtime_ns for file in whole.results.iterdir()}
    assert Work(whole, jobs=1, say=pytest.fail).do(whole.campaign.runs[:2]) == []
    assert {file: file.stat().st_mtime_ns for file in whole.results.iterdir()} == before


def test_a_result_holds_what_was_measured(whole):
    run = whole.campaign.runs[1]
    result = Result.load(whole.result_file(run))
    assert (result.run, result.seed, result.init) == ("vanilla", 0, "static")
    assert result.recipe_name == "vanilla-resnet20-digits-b0.5"
    assert result.settings["recipe"]["network"]["backbone"]["depths"] == [1, 1]
    assert [point["epoch"] for point in result.curve] == [1.0, 2.0]
    assert result.curve[-1]["accuracy"] == result.metrics["accuracy"]
    gated = [rate for rate, on in zip(*map(result.paths.get, ("rate", "gated")), strict=True) if on]
    assert sum(gated) / len(gated) == pytest.approx(result.metrics["execution_rate"], abs=1e-6)
    assert {"dyncore", "torch", "python"} <= result.versions.keys()
    assert result.seconds > 0


def test_beside_a_run_stand_its_subnet_and_random_paths_at_its_rates(whole):
    _, vanilla, subnet, random = (
        Result.load(whole.result_file(r)) for r in whole.campaign.runs[:4]
    )
    kept = subnet.settings["recipe"]["network"]["frozen"]
    assert subnet.paths["rate"] == [float(there) for there in kept]
    assert subnet.metrics["distinct_paths"] == 1
    assert subnet.macs["routers"] == 0
    assert random.settings["recipe"]["phases"][0]["rates"] == vanilla.paths["rate"]
    sigma = 0.5 / 360**0.5  # of 360 test images
    for drawn, rate in zip(random.paths["rate"], vanilla.paths["rate"], strict=True):
        assert abs(drawn - rate) < 5 * sigma
    assert "shuffled_accuracy" not in random.metrics
    assert random.settings["teacher"] == "static"
    assert random.settings["recipe"]["objective"]["teacher"]["model"] == ""


def test_a_changed_recipe_is_named_and_left_alone(tmp_path, whole):
    changed = open_campaign(tmp_path, TEXT.replace("--epochs 2", "--epochs 3"))
    place = replace(changed, results=whole.results, output=whole.output)
    static, vanilla, *_, other = survey(place, place.campaign.runs)
    assert (static.state, vanilla.state, other.state) == (State.DONE, State.CHANGED, State.OPEN)
    file = place.result_file(vanilla.run)
    assert vanilla.note == f"recipe.phases.0.epochs = 3.0 (2.0): delete {file} to run it again"
    assert Work(place, jobs=1, say=pytest.fail).do([vanilla.run]) == []


def test_time_is_estimated_from_what_is_done(whole):
    run = whole.campaign.runs[-1]
    (status,) = survey(whole, [run])
    done = Result.load(whole.result_file(whole.campaign.runs[1]))
    assert status.left == pytest.approx(done.seconds)


def test_results_of_another_machine_are_done_but_no_start(tmp_path, whole):
    place = replace(whole, output=tmp_path)
    static, *_, other = survey(place, place.campaign.runs)
    assert static.state is State.DONE
    assert other.state is State.ELSEWHERE
    assert other.note.startswith("static-s0 was run elsewhere: copy ")


def test_a_model_has_to_be_given(tmp_path):
    text = TEXT.replace('init = "static"', 'init = "public"') + '[models]\npublic = "weights"\n'
    missing, given = (open_campaign(tmp_path, text, **models) for models in ({}, {"public": "x"}))
    assert states(missing)["vanilla-s0"] is State.ELSEWHERE
    assert states(given)["vanilla-s0"] is State.OPEN
    assert given.arguments(given.campaign.runs[1]).run.init == "x"
    with pytest.raises(ValueError, match=r"has no model 'other'; its \[models\] are: public"):
        open_campaign(tmp_path, text, other="x")


def test_one_process_at_a_time(tmp_path):
    with claimed(tmp_path / "run") as first, claimed(tmp_path / "run") as second:
        assert (first, second) == (True, False)
        assert is_claimed(tmp_path / "run")
    assert not is_claimed(tmp_path / "run")
    assert not is_claimed(tmp_path / "none")


def test_time_counts_up_to_the_last_checkpoint_of_a_killed_sitting(tmp_path):
    Sitting(tmp_path)  # killed: it never says that it ends
    began = json.loads((tmp_path / "sittings.json").read_text())["began"]
    checkpoint = tmp_path / "recipe" / "checkpoints" / "step-00000010"
    checkpoint.mkdir(parents=True)
    os.utime(checkpoint, (began + 50, began + 50))
    second = Sitting(tmp_path)
    assert second.seconds == pytest.approx(50, abs=0.01)
    second.pause()
    third = Sitting(tmp_path)
    assert third.number == 3
    assert third.seconds == pytest.approx(50, abs=1)
