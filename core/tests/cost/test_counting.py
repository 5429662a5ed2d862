"""The cost table against what really runs, counted in two ways of its own."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dyncore import DynamicNetwork, cost_table, run_skipped
from dyncore.cost import CostTable
from dyncore.gating import Decision, ExecutionPath

SIZE = (3, 13, 16)
NAMES_WITHOUT_CHANNELS = [
    "static",
    "blend",
    "blend-pad",
    "additive-mobilenetv2",
    "n2-basic",
    "n3-bottleneck",
    "n2-mobilenetv2",
    "salience",
]


def counted(run: Callable[[], object]) -> int:
    """MACs by torch's counter, on real tensors."""
    with FlopCounterMode(display=False) as counter:
        run()
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


def hooked(network: DynamicNetwork, run: Callable[[], object]) -> int:
    """MACs from the shapes that convolutions and linear layers saw."""
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            total += out.numel() * module.in_channels // module.groups * height * width
        else:
            total += out.numel() * module.in_features

    modules = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in modules]
    run()
    for hook in hooks:
        hook.remove()
    return total


def routers(table: CostTable) -> int:
    return sum(block.router for block in table.blocks)


def draw_path(data: st.DataObject, network: DynamicNetwork, batch: int) -> ExecutionPath:
    paths, channels = network.paths_per_block, network.channels_per_block
    table = data.draw(arrays(bool, (batch, sum(paths) + sum(channels))))
    on, channel_on = torch.from_numpy(table).split([sum(paths), sum(channels)], dim=1)
    if not sum(channels):
        return ExecutionPath.of(on, paths)
    return ExecutionPath.of(on, paths, channel_on, channels)


def test_own_decisions_cost_what_the_table_says(network, images):
    table = cost_table(network, SIZE)
    path = run_skipped(network, images).path

    macs = table.macs(path)

    each = [counted(partial(run_skipped, network, image)) for image in images.split(1)]
    assert macs.tolist() == each
    assert macs.dtype == torch.int64
    assert counted(partial(run_skipped, network, images)) == sum(each)


@settings(max_examples=5)
@given(data=st.data())
def test_forced_paths_cost_what_the_table_says(network, images, data):
    """Under a forced path no router runs; the table charges them all the same."""
    table = cost_table(network, SIZE)
    path = draw_path(data, network, 2)

    macs = table.macs(path)

    for image in range(2):
        part = path.images(slice(image, image + 1))
        run = partial(run_skipped, network, images[image : image + 1], path=part)
        assert macs[image] == counted(run) + routers(table)
    whole = partial(run_skipped, network, images[:2], path=path)
    assert macs.sum() == counted(whole) + 2 * routers(table)


@pytest.mark.parametrize("name", NAMES_WITHOUT_CHANNELS)
def test_hooks_count_the_same(networks, images, name):
    network = networks[name]
    table = cost_table(network, SIZE)

    for image in images.split(1):
        run = partial(run_skipped, network, image)
        assert hooked(network, run) == table.macs(run().path).item()


def test_masked_running_costs_everything(network, images):
    table = cost_table(network, SIZE)

    assert counted(partial(network, images[:1])) == table.full


@pytest.mark.parametrize("undecided", [{0}, {1}, {0, 1}])
@pytest.mark.parametrize("name", ["channels-basic", "channels-bottleneck"])
def test_channels_that_nobody_decided_are_all_computed(networks, images, name, undecided):
    """A forced path may leave channels out."""
    network = networks[name]
    table = cost_table(network, SIZE)
    on = torch.ones(1, 1, dtype=torch.bool)
    path = ExecutionPath(
        tuple(
            Decision.of(on, None if block in undecided else torch.arange(channels)[None] % 3 > 0)
            for block, channels in enumerate(network.channels_per_block)
        )
    )

    run = partial(run_skipped, network, images[:1], path=path)

    assert table.macs(path).item() == counted(run) + routers(table)
    assert table.expected(path).item() == table.macs(path).item()


def test_static_is_the_plain_backbone(network, build_network):
    table = cost_table(network, SIZE)
    plain = network.config.backbone.build(5).double().eval()

    assert table.static == counted(partial(plain, torch.zeros(1, *SIZE).double()))


def test_a_static_network_has_nothing_to_save(networks):
    table = cost_table(networks["static"], SIZE)

    assert table.static == table.always == table.full
    assert table.gated == 0
    assert table.ratio(table.static) == 1


@pytest.mark.parametrize("name", ["blend", "channels-bottleneck", "additive-mobilenetv2"])
def test_full_of_a_whole_block_network_is_static_plus_routers(networks, name):
    table = cost_table(networks[name], SIZE)

    assert table.full == table.static + routers(table)
    assert routers(table) > 0


def test_routers_cost_their_matrices(networks):
    network = networks["n2-basic"]  # context router, d = 6; 2 logits for each of 2 paths

    blocks = cost_table(network, SIZE).blocks

    inputs = [4, 4, 8]
    history = [0, 6 * 6, 6 * 6]
    expected = [c * 6 + h + 6 * 4 for c, h in zip(inputs, history, strict=True)]
    assert [block.router for block in blocks] == expected


def test_every_granularity_has_the_block_structure_of_its_network(network):
    table = cost_table(network, SIZE)

    assert [block.gated for block in table.blocks] == [
        str(index) in network.gates for index in range(len(table.blocks))
    ]
    assert tuple(len(block.paths) for block in table.blocks) == network.paths_per_block
    assert tuple(block.paths[0].channels for block in table.blocks) == network.channels_per_block
    assert table.input_size == SIZE


def test_measuring_leaves_the_network_alone(networks, images):
    network = networks["n2-basic"]
    before = {name: value.clone() for name, value in network.state_dict().items()}

    cost_table(network, SIZE)

    assert not network.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert next(network.parameters()).dtype == torch.float64


@pytest.mark.parametrize("size", [(1, 32, 32), (32, 32, 3), (3, 0, 32), (3, 32, -1)])
def test_input_that_does_not_fit_is_an_error(networks, size):
    with pytest.raises(ValueError, match=r"input_size must be \(3, height, width\), not \("):
        cost_table(networks["static"], size)
