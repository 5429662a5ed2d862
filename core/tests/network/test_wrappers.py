"""Weights saved by what wrapped the network, and networks of which parts are wrapped."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

import dyncore
from dyncore.network._wrappers import unwrapped


@pytest.mark.situation(
    "weights whose names begin with `module.` or `_orig_mod.`",
    under="Saved models, as people have them",
)
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."])
def test_prefixes_of_saved_weights_are_taken_off(saved, model, prefix):
    weights = load_file(saved / "model.safetensors")
    save_file(
        {prefix + name: tensor for name, tensor in weights.items()}, saved / "model.safetensors"
    )
    loaded = dyncore.from_pretrained(saved).state_dict()
    assert loaded.keys() == model.state_dict().keys()
    assert all(tensor.equal(loaded[name]) for name, tensor in model.state_dict().items())


def test_names_that_would_meet_or_are_the_networks_own_stay():
    for names in (["a.w", "_orig_mod.a.w"], ["module.a", "b"], ["module"], ["modules.a"], []):
        assert list(unwrapped(dict.fromkeys(names))) == names
    assert list(unwrapped({"a.module.w": 0})) == ["a.module.w"]
    assert list(unwrapped({"a._orig_mod.b._checkpoint_wrapped_module.w": 0})) == ["a.b.w"]


@pytest.mark.situation(
    "parts compiled by `torch.compile`, or wrapped for checkpointing, then `save_pretrained`",
    under="Models that were changed, and `save_pretrained`",
)
def test_a_network_with_wrapped_parts_is_saved_as_itself(model, images, tmp_path):
    wrapped = copy.deepcopy(model)
    wrapped.backbone.layer2[0] = torch.compile(wrapped.backbone.layer2[0], backend="eager")
    wrapped.backbone.layer1 = checkpoint_wrapper(wrapped.backbone.layer1)
    wrapped.save_pretrained(tmp_path)
    loaded = dyncore.from_pretrained(tmp_path)
    assert loaded.state_dict().keys() == model.state_dict().keys()
    with torch.no_grad():
        assert loaded(images.float()).logits.equal(model(images.float()).logits)
