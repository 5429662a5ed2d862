"""Both accountings (sections 3.3.2 and 4.3), counted convolution by convolution."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from dyn_lcnet.method import METHOD
from dyncore import DynamicNetwork, cost_table, create_model
from dyncore.backbones import ResNetConfig
from dyncore.cost import CostTable
from dyncore.data import Batch, Preprocessing
from dyncore.gating import Choice, Decision, ExecutionPath, ReLU1Gate
from dyncore.training import Evaluation, evaluate

ACCOUNTINGS = ["sequential", "parallel"]
BASIC = ResNetConfig(block="basic", depths=(1, 2), widths=(4, 6), stem="cifar")
BOTTLENECK = ResNetConfig(block="bottleneck", depths=(1, 2), widths=(4, 6), stem="cifar")


def meta(name: str, **options) -> DynamicNetwork:
    with torch.device("meta"):
        return create_model(name, **options)


def path_of(network: DynamicNetwork, on: list[bool], channels: int) -> ExecutionPath:
    """One image; the first ``channels`` channels of every block."""
    gated = network.channels_per_block
    chosen = torch.cat([torch.arange(total) < channels for total in gated])[None]
    return ExecutionPath.of(torch.tensor([on]), network.paths_per_block, chosen, gated)


def block_cost(table: CostTable, path: ExecutionPath, accounting: str) -> int:
    return int(table.macs(path, accounting)) - table.always


def test_a_basic_block_by_hand():
    """ResNet-18, first block: two 3×3 convolutions, 64 to 64, at 32×32; 16 channels of 64."""
    network = meta("lcnet-resnet18-cifar")
    table = cost_table(network, (3, 32, 32))
    convolution = 64 * 64 * 9 * 32 * 32
    assert convolution == 37_748_736
    on = path_of(network, [True] + [False] * 7, 16)
    assert block_cost(table, on, "parallel") == convolution + convolution // 4
    assert block_cost(table, on, "sequential") == convolution // 4 + convolution // 4
    off = path_of(network, [False] * 8, 16)
    assert block_cost(table, off, "parallel") == block_cost(table, off, "sequential") == 0


def test_a_bottleneck_by_hand():
    """ResNet-50, first block at 56×56: 1×1 64 to 64, 3×3 64 to 64, 1×1 64 to 256."""
    network = meta("lcnet-resnet50", num_classes=1000)
    table = cost_table(network, (3, 224, 224))
    first, second, third = (k * 56 * 56 for k in (64 * 64, 64 * 64 * 9, 64 * 256))
    assert (first, second, third) == (12_845_056, 115_605_504, 51_380_224)
    on = path_of(network, [True] + [False] * 15, 16)
    assert block_cost(table, on, "parallel") == first + second // 4 + third
    assert block_cost(table, on, "sequential") == first // 4 + second // 4 + third


@pytest.mark.parametrize("accounting", ACCOUNTINGS)
@pytest.mark.parametrize("backbone", [BASIC, BOTTLENECK], ids=lambda config: config.block)
@pytest.mark.parametrize("blocks", [True, False], ids=["L-Net and C-Net", "C-Net"])
def test_macs_are_those_of_the_convolutions_that_run(backbone, blocks, accounting):
    config = METHOD.configure(backbone, 1, 3)
    config = replace(config, gate=replace(config.gate, blocks=blocks))
    network = DynamicNetwork(config)
    table = cost_table(network, (3, 8, 8))
    generator = torch.Generator().manual_seed(0)
    gated = network.channels_per_block
    on = torch.rand(9, 3, generator=generator) < 0.6
    on = on if blocks else torch.ones_like(on)
    channel_on = torch.rand(9, sum(gated), generator=generator) < 0.5
    path = ExecutionPath.of(on, network.paths_per_block, channel_on, gated)
    # height and width in front of each block, and its stride
    places = zip(network.backbone.blocks, path, ((8, 1), (8, 2), (4, 1)), strict=True)
    expected = [table.always] * 9
    for block, decision, (side, stride) in places:
        convolutions = [layer.conv for layer in block.paths[0].layers]
        for image in range(9):
            if not decision.on[image]:
                continue
            chosen = int(decision.channels.on[image].sum())
            size = side
            for n, conv in enumerate(convolutions):
                inputs = chosen if n == 1 else conv.in_channels
                saves = n == 0 and accounting == "sequential"
                outputs = chosen if saves else conv.out_channels
                size = size // stride if conv.stride == (stride, stride) else size
                expected[image] += inputs * outputs * conv.kernel_size[0] ** 2 * size * size
    assert table.macs(path, accounting).tolist() == expected


def test_the_two_printed_costs_are_one_set_of_weights():
    """Table 1: 62 % of the first convolutions and 15 % of their channels cost 0.19 and 0.06."""
    network = meta("lcnet-resnet18-cifar")
    table = cost_table(network, (3, 32, 32))
    decisions = []
    for channels in network.channels_per_block:
        layer = torch.full((1, 1), 0.62, dtype=torch.float64)
        channel = torch.full((1, channels), 0.15, dtype=torch.float64)
        decisions.append(Decision(Choice(layer > 0, layer), Choice(channel > 0, channel)))
    path = ExecutionPath(tuple(decisions))
    printed = {name: round(table.expected(path, name).item() / 1e9, 2) for name in ACCOUNTINGS}
    assert printed == {"parallel": 0.19, "sequential": 0.06}


@pytest.mark.parametrize(
    ("model", "size", "printed"),
    [
        ("lcnet-resnet18-cifar", 32, 0.55),
        ("lcnet-resnet50-cifar", 32, 1.29),
        ("lcnet-resnet101-cifar", 32, 2.50),
        ("lcnet-resnet50", 224, 4.09),
    ],
)
def test_static_backbones_cost_what_tables_1_and_2_print(model, size, printed):
    table = cost_table(meta(model), (3, size, size))
    assert table.static / 1e9 == pytest.approx(printed, abs=0.011)


def test_control_nets_are_negligible():
    """Section 3.1: below 0.4 % of the backbone's MACs."""
    for model, size in (("lcnet-resnet18-cifar", 32), ("lcnet-resnet50", 224)):
        table = cost_table(meta(model), (3, size, size))
        assert sum(block.router for block in table.blocks) < 0.004 * table.static


def centre(gate: ReLU1Gate, arguments: tuple[Tensor, ...]) -> None:
    scores = F.linear(arguments[0], gate.head.weight)
    gate.head.bias.copy_(-scores.median(0).values)


@torch.no_grad()
def test_an_evaluation_file_gives_both_accountings(tmp_path):
    torch.manual_seed(0)
    network = DynamicNetwork(METHOD.configure(BOTTLENECK, 1, 3)).eval()
    images = torch.rand(6, 3, 8, 8)
    hooks = [gate.register_forward_pre_hook(centre) for gate in network.gates.values()]
    network(images)
    for hook in hooks:
        hook.remove()
    table = cost_table(network, (3, 8, 8))
    batch = Batch(images, labels=torch.zeros(6, dtype=torch.int64), index=torch.arange(6))
    preprocessing = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), size=8)
    evaluation = evaluate(network, [batch], preprocessing, table, Accelerator(cpu=True))
    evaluation.save(tmp_path / "evaluation.parquet")

    rows = Evaluation.load(tmp_path / "evaluation.parquet")
    path = ExecutionPath.of(
        torch.from_numpy(rows.path),
        network.paths_per_block,
        torch.from_numpy(rows.channels),
        network.channels_per_block,
    )
    assert not rows.path.all()
    assert not rows.channels.all()
    assert table.macs(path).tolist() == rows.macs.tolist()
    routed = network(images).path
    parallel = table.macs(path, accounting="parallel")
    assert torch.equal(parallel, table.macs(routed, accounting="parallel"))
    assert (parallel >= table.macs(path)).all()
    assert (parallel > table.macs(path)).any()
