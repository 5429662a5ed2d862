import pytest
import torch

from dyncore.gating import Choice, Decision, ExecutionPath
from dyncore.network import run_skipped


def test_replay_of_a_path_is_exact(network, images):
    first = network(images)

    again = network(images, path=first.path)

    assert again.logits.equal(first.logits)
    assert again.path.on.equal(first.path.on)
    assert again.path.weight.equal(first.path.weight)
    assert all(feature is None for feature in again.router_features)
    assert all(pooled is None for pooled in again.pooled)


def test_replay_from_a_table_is_exact_for_gates_that_do_not_scale(networks, images):
    for name in ("blend", "additive", "n2-basic", "n3-bottleneck", "n2-mobilenetv2"):
        first = networks[name](images)

        path = ExecutionPath.of(first.path.on, networks[name].paths_per_block)

        assert networks[name](images, path=path).logits.equal(first.logits)


def test_forced_weights_carry_gradients(networks, images):
    network = networks["additive"]
    weight = torch.full((len(images), 1), 0.5, dtype=torch.float64, requires_grad=True)
    path = ExecutionPath((Decision(Choice(weight > 0, weight)),) * 3)

    network(images, path=path).logits.sum().backward()

    assert (weight.grad != 0).all()


def test_no_router_runs_under_a_forced_path(networks, images):
    network = networks["n2-basic"]
    path = network(images).path

    def fail(*_):
        raise AssertionError("a router ran")

    hooks = [router.register_forward_hook(fail) for router in network.routers.values()]
    network(images, path=path)
    run_skipped(network, images, path=path)

    for hook in hooks:
        hook.remove()


def test_a_block_that_is_not_gated_stays_on(networks, images):
    network = networks["additive-mobilenetv2"]
    off = torch.zeros(len(images), 17, dtype=torch.bool)

    path = network(images, path=ExecutionPath.of(off, (1,) * 17)).path

    ungated = [index for index in range(17) if str(index) not in network.gates]
    assert 0 in ungated
    assert path.on.nonzero()[:, 1].unique().tolist() == ungated


def test_static_ignores_a_forced_path(networks, images):
    off = ExecutionPath.of(torch.zeros(len(images), 3, dtype=torch.bool), (1, 1, 1))

    forced = networks["static"](images, path=off)

    assert forced.logits.equal(networks["static"](images).logits)
    assert forced.path.on.all()


RUNS = [
    lambda network, images, path: network(images, path=path),
    lambda network, images, path: run_skipped(network, images, path=path),
]


@pytest.mark.parametrize("run", RUNS, ids=["masked", "skipped"])
@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((2, 2), r"path has \(2, 2\) paths per block, but the network has \(2, 2, 2\)"),
        ((3, 3, 3), r"path has \(3, 3, 3\) paths per block, but the network has \(2, 2, 2\)"),
        ((1, 1, 1), r"path has \(1, 1, 1\) paths per block, but the network has \(2, 2, 2\)"),
    ],
)
def test_wrong_number_of_paths_is_an_error(networks, images, run, paths, message):
    path = ExecutionPath.of(torch.ones(len(images), sum(paths), dtype=torch.bool), paths)

    with pytest.raises(ValueError, match=message):
        run(networks["n2-basic"], images, path)


@pytest.mark.parametrize("run", RUNS, ids=["masked", "skipped"])
def test_wrong_number_of_images_is_an_error(networks, images, run):
    path = ExecutionPath.of(torch.ones(1, 3, dtype=torch.bool), (1, 1, 1))

    with pytest.raises(ValueError, match="path decides for 1 images, but there are 6"):
        run(networks["additive"], images, path)


@pytest.mark.parametrize("run", RUNS, ids=["masked", "skipped"])
@pytest.mark.parametrize(("name", "has"), [("channels-basic", 4), ("additive", 0)])
def test_wrong_number_of_channels_is_an_error(networks, images, run, name, has):
    on = torch.ones(len(images), 3, dtype=torch.bool)
    path = ExecutionPath.of(on, (1, 1, 1), on.repeat(1, 3), (3, 3, 3))

    message = f"path has 3 gated channels in a block, but the network has {has}"
    with pytest.raises(ValueError, match=message):
        run(networks[name], images, path)
