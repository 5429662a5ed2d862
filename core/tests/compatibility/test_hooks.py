"""Hooks, wrappers and checkpoints.

Every module that a network runs is called as torchvision's are, in evaluation and in training.
"""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dyncore import run_skipped
from dyncore.kernels import install_kernels

UNCALLED = (nn.ModuleDict, nn.ModuleList)
"""What only holds modules; so do the branches of a block, which are plain ``nn.Module``."""


def fired_by(network: nn.Module, images: torch.Tensor) -> tuple[set[str], set[str]]:
    """Names of modules whose forward hooks ran, and of those that did not."""
    fired: set[str] = set()
    for name, module in network.named_modules():
        if type(module) is not nn.Module and not isinstance(module, UNCALLED):
            module.register_forward_hook(lambda *_, name=name: fired.add(name))
    known = {name for name, module in network.named_modules() if module._forward_hooks}
    network(images)
    return fired, known - fired


@pytest.mark.situation("forward hooks on any module that computes, with kernels, too")
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("kernels", [False, True], ids=["plain", "kernels"])
def test_hooks_of_all_modules_fire(network, images, training, kernels):
    network = copy.deepcopy(network).train(training)
    if kernels:
        install_kernels(network)
    fired, silent = fired_by(network, images)
    assert silent == set()
    assert {"", "backbone", "backbone.avgpool"} <= fired


@pytest.mark.situation("forward hooks on `backbone`, `layer1` to `layer4`, blocks: their maps")
def test_hooks_see_what_torchvisions_would(networks, images):
    """A stage gives its map for the map before it; the backbone logits for images."""
    network, seen = copy.deepcopy(networks["blend"]), {}
    for name in ("backbone", "backbone.layer1", "backbone.layer2", "backbone.layer2.1"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, inputs, output, name=name: seen.update({name: (inputs, output)})
        )
    output = network(images)
    assert seen["backbone"][0][0] is images
    assert seen["backbone"][1] is output.logits
    assert seen["backbone.layer2"][0][0] is seen["backbone.layer1"][1]
    assert seen["backbone.layer2"][1] is seen["backbone.layer2.1"][1] is output.features
    assert all(len(inputs) == 1 for inputs, _ in (seen["backbone"], seen["backbone.layer2"]))


@pytest.mark.situation("a hook that returns something else, in `run_skipped`, too")
@pytest.mark.parametrize("name", ["layer1", "layer2.0", "layer1.0.relu1"])
def test_what_a_hook_returns_counts(networks, images, name):
    network = copy.deepcopy(networks["additive"])
    before = network(images).logits
    module = network.backbone.get_submodule(name)
    module.register_forward_hook(lambda _m, _i, output: output * 0.5)
    after = network(images).logits
    assert not torch.allclose(after, before)
    torch.testing.assert_close(run_skipped(network, images).logits, after, rtol=0, atol=1e-9)


@pytest.mark.situation("Grad-CAM on `backbone.layer4`")
def test_grad_cam_of_the_last_stage_is_that_of_the_features(networks, images):
    """Selvaraju et al. 2017, Eq. 1 and 2: channels weighted by their mean gradient."""
    network, seen = copy.deepcopy(networks["blend"]), []
    hook = network.backbone.layer2.register_forward_hook(lambda _m, _i, output: seen.append(output))
    network(images).logits[:, 1].sum().backward(inputs=list(network.parameters()))
    hook.remove()
    output = network(images)
    (gradient,) = torch.autograd.grad(output.logits[:, 1].sum(), output.features)
    assert seen[0].equal(output.features)
    assert gradient.mean((2, 3)).norm() > 0
    expected = network.backbone.fc.weight[1] / gradient[0, 0].numel()
    torch.testing.assert_close(gradient[:, :, 0, 0], expected.expand(len(images), -1))


@pytest.mark.situation("activation checkpointing of stages")
@pytest.mark.parametrize("name", ["blend", "n2-basic", "additive-mobilenetv2"])
def test_stages_and_blocks_can_be_checkpointed(networks, images, name):
    """A block that is run again for the backward pass decides as it did."""
    plain = copy.deepcopy(networks[name]).train()
    kept = copy.deepcopy(plain)
    named = dict(kept.backbone.named_children())
    for stage in [named[n] for n in ("layer1", "layer2", "features") if n in named]:
        forward = stage.forward
        stage.forward = lambda x, forward=forward, **given: checkpoint(
            forward, x, use_reentrant=False, **given
        )
    gradients = []
    for network in (plain, kept):
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        output = network(images)
        (output.logits.square().mean() + output.path.weight.mean()).backward()
        gradients.append({n: p.grad for n, p in network.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for key, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], expected, msg=key)


@pytest.mark.situation("a stage inside of another module, as `torch.compile` puts it")
def test_a_wrapped_stage_or_block_is_called(networks, images):
    class Wrapper(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.calls = inner, 0

        def forward(self, *inputs, **given):
            self.calls += 1
            return self.inner(*inputs, **given)

    network = copy.deepcopy(networks["blend"])
    expected = network(images).logits
    wrapper = network.backbone.layer2 = Wrapper(network.backbone.layer2)
    assert network(images).logits.equal(expected)
    assert wrapper.calls == 1
