"""Second derivatives, `torch.func`, and inference mode.

Plain blocks have all derivatives. The fused forms that the trainer installs have first ones, say so
where more is asked for, and step back under `torch.func`.
"""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vmap

from dyncore import DynamicNetwork, Engine, cost_table
from dyncore.kernels import install_kernels

NAMES = ("blend", "n3-bottleneck", "channels-basic")


def prepared(networks, name: str, *, kernels: bool = False, train: bool = True) -> DynamicNetwork:
    network = copy.deepcopy(networks[name]).train(train)
    if kernels:
        install_kernels(network)
    return network


def penalty(network: DynamicNetwork, images: Tensor) -> Tensor:
    """The squared slope of the loss in the images."""
    images = images.clone().requires_grad_()
    loss = network(images).logits.square().mean()
    return torch.autograd.grad(loss, images, create_graph=True)[0].square().sum()


def of_weights(network: DynamicNetwork, images: Tensor):
    """The loss as a function of the weights."""
    state = dict(network.named_buffers())

    def loss(weights: dict[str, Tensor], image: Tensor = images) -> Tensor:
        whole = image if image.ndim == 4 else image[None]
        called = functional_call(network, (weights, state), (whole,))
        return called.logits.square().mean()

    return loss, {name: p.detach() for name, p in network.named_parameters()}


@pytest.mark.situation("second derivatives (gradient penalty, Hessians) in training")
@pytest.mark.parametrize("name", ["blend", "channels-basic"])
def test_second_derivatives(networks, images, name):
    """Against a difference of first ones, where those are the function's own."""
    network, images = prepared(networks, name), images.contiguous(memory_format=torch.channels_last)
    weight = network.backbone.blocks[0].paths[0].layers[0].conv.weight
    (slope,) = torch.autograd.grad(penalty(network, images), weight)
    direction, step = torch.randn_like(weight), 1e-6
    direction /= direction.norm()
    found = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * step * direction
        found.append(penalty(network, images).item())
        with torch.no_grad():
            weight -= sign * step * direction
    expected = (found[0] - found[1]) / (2 * step)
    assert (slope * direction).sum().item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.situation(
    "second derivatives through the fused forms of training",
    refused="the fused form of a block has no second derivatives (create_graph=True): train with "
    "--no-kernels, RunOptions(kernels=False)",
)
@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_of_fused_forms(networks, images, name):
    penalty(prepared(networks, name, kernels=True), images)


@pytest.mark.situation("`torch.func`: gradients per sample (`vmap`, `grad`) in evaluation")
@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_per_sample(networks, images, name, kernels):
    network = prepared(networks, name, kernels=kernels, train=False)
    loss, weights = of_weights(network, images)
    each = vmap(grad(loss), in_dims=(None, 0))(weights, images)
    loss(dict(network.named_parameters()), images[2]).backward()
    for key, parameter in network.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(each[key][2], parameter.grad, rtol=0, atol=1e-9)


@pytest.mark.situation("`torch.func`: `jacrev` and `jvp` of the images, in evaluation")
@pytest.mark.parametrize("kernels", [False, True])
def test_jacobians(networks, images, kernels):
    network = prepared(networks, "blend", kernels=kernels, train=False)
    jacobian = jacrev(lambda x: network(x, relaxed=True).logits[0])(images)
    logits = network(leaf := images.clone().requires_grad_(), relaxed=True).logits
    (expected,) = torch.autograd.grad(logits[0, 3], leaf)
    torch.testing.assert_close(jacobian[3], expected, rtol=0, atol=1e-9)
    _, along = jvp(lambda x: network(x, relaxed=True).logits[0], (images,), (images,))
    torch.testing.assert_close(along[3], (expected * images).sum(), rtol=0, atol=1e-8)


@pytest.mark.situation("`torch.func.grad` of a training step, with and without the fused forms")
@pytest.mark.parametrize("kernels", [False, True])
def test_functional_training(networks, images, kernels):
    network = prepared(networks, "n3-bottleneck", kernels=kernels)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.track_running_stats = False  # torch.func changes no buffer
            module.running_mean = module.running_var = module.num_batches_tracked = None
    loss, weights = of_weights(network, images)
    found = grad(loss)(weights)
    loss(dict(network.named_parameters())).backward()
    for key, parameter in network.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[key], parameter.grad, rtol=0, atol=1e-9)


@pytest.mark.situation("a first call in `torch.inference_mode`, then training or an engine's call")
@pytest.mark.parametrize("kernels", [False, True])
def test_nothing_of_inference_mode_is_kept(networks, images, kernels):
    network = prepared(networks, "blend", kernels=kernels, train=False)
    with torch.inference_mode():
        network(images)
        engine = Engine(network, images, threads=1)
        first = engine(images).logits
        table = cost_table(network, (3, 13, 16))
        table.expected(network(images).path)
    table.expected(network(images, relaxed=True).path).sum().backward()
    again = engine(images).logits
    assert again.equal(first)
    assert not again.is_inference()
    network.train()(images).logits.square().mean().backward()
    assert network.backbone.conv1.weight.grad.any()
