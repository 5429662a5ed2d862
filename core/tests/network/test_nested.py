"""Networks inside of one: what they share, what they have of their own, and how they are saved."""

import copy
import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import dyncore
from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.cost import cost_table
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo, Subnet, begins, start_subnets

BACKBONE = ResNetConfig(block="basic", depths=(2, 3), widths=(4, 8), stem="cifar")
EXIT = Subnet(blocks=(0, 1), norms="shared")
SMALL = Subnet(blocks=(0, 2, 4))
CONFIG = DynamicConfig(backbone=BACKBONE, num_classes=5, nested=(EXIT, SMALL))


@pytest.fixture
def network() -> DynamicNetwork:
    """In float64 and evaluation, with statistics of its own in every norm."""
    torch.manual_seed(0)
    network = DynamicNetwork(CONFIG, ModelInfo(model="both", metrics={"accuracy": 0.5})).double()
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)


@torch.no_grad()
def test_a_subnet_is_the_static_network_of_its_blocks(network, images):
    """With the whole network's convolutions, copied by hand, and norms of its own."""
    alone = DynamicNetwork(
        DynamicConfig(backbone=replace(BACKBONE, depths=(1, 2)), num_classes=5)
    ).double()
    state = dict(network.at(1).state_dict())
    for small, whole in (
        ("layer1.0", "layer1.0"),
        ("layer2.0", "layer2.0"),
        ("layer2.1", "layer2.2"),
    ):
        for conv in ("conv1", "conv2"):
            state[f"backbone.{small}.{conv}.weight"] = network.state_dict()[
                f"backbone.{whole}.{conv}.weight"
            ]
    state["backbone.conv1.weight"] = network.backbone.conv1.weight
    state["backbone.layer2.0.downsample.0.weight"] = network.backbone.layer2[0].downsample[0].weight
    alone.load_state_dict(state)
    assert torch.equal(alone.eval()(images).logits, network.at(1)(images).logits)
    assert not torch.equal(network.at(1)(images).logits, network.at(2)(images).logits)


@torch.no_grad()
def test_an_early_exit_is_a_linear_layer_on_the_features_after_its_block(network, images):
    x = network.backbone.stem(images)
    for block in network.backbone.blocks[:2]:
        x = block(x)
    fc = network.at(0).backbone.fc
    assert torch.equal(network.at(0)(images).logits, fc(x.mean((2, 3))))
    rest = network.resume(network.at(0)(images).features, 2)
    assert torch.equal(rest.logits, network(images).logits)
    assert rest.path.paths_per_block == (1,) * 5


def test_convolutions_are_the_same_parameters_and_norms_are_not(network):
    whole, small, early = network.backbone, network.at(1).backbone, network.at(0).backbone
    assert small.layer2[1].conv1 is whole.layer2[2].conv1
    assert small.layer2[1].bn1 is not whole.layer2[2].bn1
    assert small.bn1 is not whole.bn1
    assert early.bn1 is whole.bn1
    assert early.layer1[1].bn2 is whole.layer1[1].bn2
    own = {name for name, _ in network.named_parameters() if name.startswith("nested.")}
    assert {name for name in own if "conv" in name} == set()
    assert {name for name in own if name.startswith("nested.0.")} == {
        "nested.0.backbone.fc.weight",
        "nested.0.backbone.fc.bias",
    }
    assert network.at(2) is network


def test_training_gives_every_networks_logits(network, images):
    network.train()
    output = network(images)
    assert [logits.shape for logits in output.nested] == [(4, 5), (4, 5)]
    fresh = copy.deepcopy(network)
    torch.testing.assert_close(output.nested[1], fresh.at(1)(images).logits)
    torch.testing.assert_close(output.nested[0], fresh.at(0)(images).logits)
    assert network.eval()(images).nested == ()


def test_the_stem_and_blocks_of_an_exit_run_once_in_training(network, images):
    ran = []
    network.backbone.conv1.register_forward_hook(lambda *_: ran.append("stem"))
    network.train()(images)
    assert ran == ["stem"] * 2  # of the whole, and of the one with norms of its own
    assert int(network.backbone.bn1.num_batches_tracked) == 1


def test_copies_share_among_themselves_only(network, images):
    for again in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert again.at(1).backbone.conv1 is again.backbone.conv1
        assert again.backbone.conv1 is not network.backbone.conv1
        assert again.state_dict().keys() == network.state_dict().keys()
        assert torch.equal(again.at(0)(images).logits, network.at(0)(images).logits)


def test_what_is_shared_is_saved_once(network, images, tmp_path):
    network.save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors").keys()
    static = DynamicNetwork(replace(CONFIG, nested=())).state_dict().keys()
    assert set(static) <= set(names)
    assert not any("conv" in name for name in set(names) - set(static))
    loaded = dyncore.from_pretrained(tmp_path)
    assert loaded.config == CONFIG
    assert loaded.at(1).backbone.conv1 is loaded.backbone.conv1
    for index in range(3):
        assert torch.equal(loaded.at(index)(images).logits, network.at(index)(images).logits)
    seven = dyncore.from_pretrained(tmp_path, num_classes=7)
    assert [seven.at(i)(images).logits.shape[1] for i in range(3)] == [7, 7, 7]


def test_a_file_without_a_subnets_norms_is_refused(network, tmp_path):
    network.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["network"]["nested"] = config["network"]["nested"][:1]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(dyncore.ModelFileError, match=r"nested\.1\.backbone.* is not in the model"):
        dyncore.from_pretrained(tmp_path)


def test_a_subnet_is_saved_as_a_network_by_itself(network, images, tmp_path):
    network.at(1).save_pretrained(tmp_path)
    loaded = dyncore.from_pretrained(tmp_path)
    assert loaded.config == CONFIG.of(SMALL)
    assert (loaded.info.model, loaded.info.metrics) == ("both at 1", {})
    assert torch.equal(loaded(images).logits, network.at(1)(images).logits)


def test_costs_are_those_of_the_blocks(network):
    table = cost_table(network, (3, 8, 8))
    blocks = [block.paths[0].total + block.shortcut for block in table.blocks]
    assert cost_table(network.at(1), (3, 8, 8)).full == (
        table.stem + table.head + blocks[0] + blocks[2] + blocks[4]
    )
    early = cost_table(network.at(0), (3, 8, 8))
    assert early.full - early.head == table.stem + blocks[0] + blocks[1]


@torch.no_grad()
def test_subnets_start_as_what_the_network_has_in_their_place(network, images):
    start_subnets(network)
    small, whole = network.at(1).backbone, network.backbone
    assert torch.equal(small.layer2[1].bn1.running_var, whole.layer2[2].bn1.running_var)
    assert torch.equal(small.fc.weight, whole.fc.weight)
    x = whole.stem(images)
    for index in SMALL.blocks:
        x = whole.blocks[index](x)
    assert torch.equal(network.at(1)(images).logits, whole.head(x))
    assert network.at(0).backbone.fc.in_features == 4  # no layer of the whole fits: fresh


def test_only_an_exit_begins_the_whole(network):
    assert begins(network.at(0), network)
    assert not begins(network.at(1), network)
    assert not begins(network, network)
    assert not begins(copy.deepcopy(network).at(0), network)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((), "make no network"),
        ((0, 1, 3), r"make no network.*\(0, 2\)"),
        ((2, 3), "make no network"),
        ((0, 0, 2), "make no network"),
        ((2, 0), "make no network"),
        ((0, 2, 5), "from 0 to 4"),
        ((-1, 0, 2), "make no network"),
        ((0, 1, 2, 3, 4), "keeps all blocks"),
    ],
)
def test_blocks_that_make_no_smaller_network_are_refused(blocks, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, nested=(Subnet(blocks=blocks),))


def test_what_cannot_be_nested_is_refused(network):
    with pytest.raises(ValueError, match="growing size"):
        replace(CONFIG, nested=(SMALL, EXIT))
    with pytest.raises(ValueError, match="not the first ones"):
        Subnet(blocks=(0, 2), norms="shared")
    with pytest.raises(ValueError, match="mobilenetv2 has no smaller form"):
        DynamicConfig(backbone=MobileNetV2Config(), num_classes=5, nested=(SMALL,))
    vanilla = dyncore.create_model("vanilla-resnet20-cifar").config
    with pytest.raises(ValueError, match="part of a static network"):
        replace(vanilla, nested=(Subnet(blocks=(0, 3, 6)),))
    with pytest.raises(ValueError, match="numbered 0 to 2"):
        network.at(3)
    with pytest.raises(ValueError, match="there is no block 5"):
        network.resume(torch.zeros(1, 8, 4, 4, dtype=torch.float64), 5)


def test_a_share_keeps_the_first_blocks_of_every_stage():
    assert replace(BACKBONE, depths=(5, 5, 5), widths=(4, 8, 8)).first_blocks(0.4) == (
        *(0, 1),
        *(5, 6),
        *(10, 11),
    )
    assert BACKBONE.first_blocks(0.01) == (0, 2)
    assert BACKBONE.first_blocks(1.0) == (0, 1, 2, 3, 4)
    with pytest.raises(ValueError, match="share of the blocks"):
        BACKBONE.first_blocks(0.0)
