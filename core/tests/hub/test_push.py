"""Models to the Hub and back, through huggingface_hub's own client."""

import copy
import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from pushed_model import FILES, NAME, RESULTS, assert_same

import dyncore
from dyncore.network import ModelInfo


def test_what_is_pushed_comes_back_bit_equal(hub, model):
    address = model.push_to_hub(NAME)
    assert re.fullmatch(rf"{hub.endpoint}/{NAME}/commit/[0-9a-f]{{40}}", address)
    assert_same(dyncore.from_pretrained(NAME), model)


def test_the_repository_tells_everything(pushed, model):
    files = pushed.files(NAME)
    assert files.keys() == FILES
    assert pushed.messages == ["Upload model"]
    assert pushed.visibility[NAME] == "public"
    assert json.loads(files["recipe.json"]) == model.info.recipe
    assert json.loads(files["evaluation.json"]) == {
        "dataset": "cifar10",
        "split": "test",
        "metrics": model.info.metrics,
    }
    assert json.loads(files["config.json"])["info"]["metrics"] == model.info.metrics


def test_the_card_says_the_same_to_the_hub_and_to_people(pushed, model):
    card = ModelCard(pushed.files(NAME)["README.md"].decode())
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()
    assert {r.metric_type: r.metric_value for r in card.data.eval_results} == model.info.metrics
    for result in card.data.eval_results:
        assert (result.dataset_type, result.dataset_name) == ("uoft-cs/cifar10", "cifar10")
        assert (result.task_type, result.dataset_split) == ("image-classification", "test")
    assert card.data.model_name == "vanilla-resnet20-cifar"
    assert card.data.library_name == "dyncore"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.datasets == ["uoft-cs/cifar10"]
    assert card.data.tags == ["dynamic-inference", "vanilla", "resnet", "vanilla-resnet20-cifar"]
    assert f'dyncore.from_pretrained("{NAME}")' in card.text
    assert "| accuracy | 0.3 |" in card.text


def test_leaderboards_read_the_accuracy(pushed, model):
    (entry,) = parse_eval_result_entries(yaml.safe_load(pushed.files(NAME)[RESULTS]))
    assert (entry.dataset_id, entry.task_id) == ("uoft-cs/cifar10", "default")
    assert entry.value == model.info.metrics["accuracy"]


def test_results_of_other_weights_go(pushed, model):
    bare = copy.deepcopy(model)
    bare.info = ModelInfo()
    bare.push_to_hub(NAME)
    assert RESULTS not in pushed.files(NAME)


def test_a_model_that_knows_little_has_a_card_too(hub, model):
    bare = copy.deepcopy(model)
    bare.info = ModelInfo()
    bare.push_to_hub(NAME)
    files = hub.files(NAME)
    assert files.keys() == FILES - {"recipe.json", RESULTS}
    card = ModelCard(files["README.md"].decode())
    assert card.data.eval_results is None
    assert card.data.datasets is None
    assert "# digits-net" in card.text
    assert_same(dyncore.from_pretrained(NAME), bare)


def test_private_branch_and_message(hub, model):
    model.push_to_hub(NAME, private=True, revision="v2/half", commit_message="Half the cost")
    assert hub.visibility[NAME] == "private"
    assert hub.messages == ["Half the cost"]
    assert hub.files(NAME) == {}
    assert hub.files(NAME, "v2/half").keys() == FILES
    assert_same(dyncore.from_pretrained(NAME, revision="v2/half"), model)


def test_pushing_again_makes_a_new_commit_and_both_can_be_had(pushed, model):
    first = pushed.repositories[NAME]["main"]
    other = copy.deepcopy(model)
    other.info = replace(model.info, metrics={"accuracy": 0.5})
    other.push_to_hub(NAME)

    assert_same(dyncore.from_pretrained(NAME), other)
    assert_same(dyncore.from_pretrained(NAME, revision=first), model)


@pytest.mark.parametrize("name", ["digits-net", "a/b/c", "org/../../x", "org/no name", ""])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(hub, model, name):
    with pytest.raises((ValueError, dyncore.HubError), match=r"'org/name'|Repo id"):
        model.push_to_hub(name)
    assert hub.requests == []
