import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from dyncore.network import DynamicNetwork, run_skipped


def block_inputs(network: DynamicNetwork, images, **options):
    """The output, and what every block was given."""
    inputs = []
    hooks = [
        block.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
        for block in network.backbone.blocks
    ]
    output = network(images, **options)
    for hook in hooks:
        hook.remove()
    return output, inputs


def noise_for(network: DynamicNetwork, batch: int, seed: int = 0):
    noise = network.draw_noise(batch, torch.Generator().manual_seed(seed))
    return None if noise is None else noise.double()


def test_pooled_and_features_are_what_routers_saw_and_gave(network, images):
    output, inputs = block_inputs(network, images)

    assert len(output.pooled) == len(output.router_features) == len(inputs) == len(output.path)
    state = ()
    for index, x in enumerate(inputs):
        pooled, feature = output.pooled[index], output.router_features[index]
        if str(index) not in network.gates:
            assert pooled is feature is None
            continue
        torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(x, 1).flatten(1))
        expected, state = network.routers[str(index)](pooled, state)
        assert feature.equal(expected)


def test_every_block_that_can_be_decided_has_a_router_and_a_gate(network):
    expected = []
    if network.config.gate is not None:
        blocks = enumerate(network.backbone.blocks)
        expected = [str(i) for i, b in blocks if len(b.paths) > 1 or b.downsample is not None]

    assert list(network.routers) == list(network.gates) == expected


@pytest.mark.parametrize("relaxed", [False, True])
def test_decisions_are_the_gates_for_their_part_of_the_noise(gated_network, images, relaxed):
    noise = noise_for(gated_network, len(images))

    output = gated_network(images, noise=noise, relaxed=relaxed)

    first = 0
    for index, (paths, decision) in enumerate(
        zip(gated_network.paths_per_block, output.path, strict=True)
    ):
        part = None if noise is None else noise[:, first : first + paths]
        first += paths
        if str(index) in gated_network.gates:
            feature = output.router_features[index]
            expected = gated_network.gates[str(index)](feature, part, relaxed=relaxed)
            assert decision.on.equal(expected.on)
            assert decision.weight.equal(expected.weight)
        else:
            assert decision.on.all()
            assert decision.weight.eq(1).all()


def test_output_is_the_chain_of_blocks(network, images):
    """stem → block(x, decision) … → head, with the decisions that the output reports."""
    output = network(images)

    x = network.backbone.stem(images)
    for index, (block, decision) in enumerate(
        zip(network.backbone.blocks, output.path, strict=True)
    ):
        x = block(x, decision if str(index) in network.gates else None)

    assert network.backbone.head(x).equal(output.logits)


def test_noise_has_a_pair_per_path_of_every_block(networks):
    for name, paths in (("blend", 3), ("n2-basic", 6), ("n3-bottleneck", 6), ("static", None)):
        noise = networks[name].draw_noise(5)
        assert (noise is None) if paths is None else (noise.shape == (5, paths, 2))
    assert networks["n2-mobilenetv2"].draw_noise(5).shape == (5, 33, 2)
    assert networks["channels-basic"].draw_noise(5) is None


def test_only_blocks_without_a_shortcut_keep_one_path_on(networks, images):
    network = copy.deepcopy(networks["n2-mobilenetv2"])
    with torch.no_grad():
        for gate in network.gates.values():
            gate.head.weight.zero_()
            gate.head.bias.copy_(torch.tensor([5.0, -5.0, 5.0, -4.0]))  # off, on of each path

    path = network(images).path

    for block, decision in zip(network.backbone.blocks[1:], path.decisions[1:], strict=True):
        expected = [False, block.downsample is None]
        assert decision.on.tolist() == [expected] * len(images)


@pytest.mark.parametrize("paths", [1, 3, 7])
def test_noise_of_another_shape_is_an_error(networks, images, paths):
    with pytest.raises(ValueError, match=rf"noise has shape \(6, {paths}, 2\), but \(6, 6, 2\)"):
        networks["n2-basic"](images, noise=torch.zeros(len(images), paths, 2))


def test_outside_noise_makes_training_reproducible(networks, images):
    network = networks["additive"]
    first, again, other = (
        network(images, noise=noise_for(network, 6, seed), relaxed=True) for seed in (1, 1, 2)
    )

    assert first.logits.equal(again.logits)
    assert not first.path.on.equal(other.path.on)


def test_an_image_does_not_depend_on_its_batch_mates(network, images):
    noise = noise_for(network, len(images))
    whole = [network(images), network(images, noise=noise, relaxed=True)]

    for image in range(len(images)):
        row = slice(image, image + 1)
        part = None if noise is None else noise[row]
        alone = [network(images[row]), network(images[row], noise=part, relaxed=True)]
        for a, b in zip(alone, whole, strict=True):
            torch.testing.assert_close(a.logits, b.logits[row], rtol=0, atol=1e-12)
            assert a.path.on.equal(b.path.on[row])
            if network.config.gate is not None:
                torch.testing.assert_close(a.path.weight, b.path.weight[row], rtol=0, atol=1e-12)


def test_relaxed_follows_the_mode_unless_told(networks, images):
    network = copy.deepcopy(networks["blend"])

    def is_relaxed(**options) -> bool:
        path = network(images, **options).path
        return not path.weight.equal(path.on.double())

    network.eval()
    assert (is_relaxed(), is_relaxed(relaxed=True)) == (False, True)
    network.train()
    assert (is_relaxed(), is_relaxed(relaxed=False)) == (True, False)


def test_evaluation_is_deterministic(network, images):
    assert network(images).logits.equal(network(images).logits)


@pytest.mark.parametrize("name", ["blend", "n2-basic", "channels-bottleneck", "n2-mobilenetv2"])
def test_bfloat16_runs_in_both_forms_and_decides_in_float32(networks, images, name):
    network = copy.deepcopy(networks[name]).bfloat16()

    for run in (network, partial(run_skipped, network)):
        out = run(images.bfloat16())
        assert out.logits.dtype == torch.bfloat16
        assert out.logits.isfinite().all()
        gated = [d for i, d in enumerate(out.path) if str(i) in network.gates]
        assert {decision.weight.dtype for decision in gated} == {torch.float32}


@pytest.mark.parametrize("name", ["blend-pad", "n2-basic", "channels-bottleneck"])
def test_autocast_runs_in_both_forms_and_decides_in_float32(networks, images, name):
    network = copy.deepcopy(networks[name]).float()

    with torch.autocast("cpu", torch.bfloat16):
        masked = network(images.float())
        skipped = run_skipped(network, images.float(), path=masked.path)

    assert masked.path.weight.dtype == torch.float32
    scale = masked.logits.float().abs().max().item()
    torch.testing.assert_close(
        masked.logits.float(), skipped.logits.float(), rtol=0, atol=0.05 * scale
    )
