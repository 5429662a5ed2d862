"""CDB's groups and controllers: Table 1, Eq. 3-9."""

import pytest
import torch
from torch import Tensor

from dyncore import DynamicNetwork, create_model
from dyncore.network import Output

TABLE_1 = {2: (38, 76, 152, 304), 3: (30, 60, 120, 240)}
OUT = (256, 512, 1024, 2048)
DEPTHS = (3, 4, 6, 3)


def on_meta(name: str) -> DynamicNetwork:
    with torch.device("meta"):
        return create_model(name)


@pytest.mark.parametrize("paths", TABLE_1)
def test_groups_are_those_of_table_1(paths):
    blocks = iter(on_meta(f"cdb-resnet50-n{paths}").backbone.blocks)
    for stage, depth in enumerate(DEPTHS):
        width = TABLE_1[paths][stage]
        for index in range(depth):
            block = next(blocks)
            assert len(block.paths) == paths
            for path in block.paths:
                convs = [layer.conv for layer in path.layers]
                assert [conv.kernel_size[0] for conv in convs] == [1, 3, 1]
                assert [conv.out_channels for conv in convs] == [width, width, OUT[stage]]
                opens = stage > 0 and index == 0
                assert [conv.stride[0] for conv in convs] == [1, 2 if opens else 1, 1]


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet50-n2", 24.45),
        ("resnet50-n3", 26.01),
        ("resnet50-n4", 25.83),
        ("resnet101-n2", 42.77),
        ("mobilenetv2-n2", 3.57),
        ("mobilenetv2-1.4-n2", 6.17),
    ],
)
def test_sizes(name, millions):
    """Printed are 24.67, 25.81, 25.81, 43.12, 3.63 and 6.29 (Tables 2 and 3)."""
    total = sum(parameter.numel() for parameter in on_meta(f"cdb-{name}").parameters())
    assert total / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_16_controllers_of_cdb_50_are_a_fiftieth_of_a_percent():
    """Section 3.2.2: "about 0.02 % FLOPs of the original ResNet-50" (2 FLOPs per MAC)."""
    model = on_meta("cdb-resnet50-n2")
    assert len(model.routers) == 16
    layers = (module for part in (model.routers, model.gates) for module in part.modules())
    macs = sum(layer.weight.numel() for layer in layers if isinstance(layer, torch.nn.Linear))
    assert 2 * macs / 3.96e9 == pytest.approx(0.0002, abs=0.00005)


@pytest.fixture(scope="module")
def model() -> DynamicNetwork:
    torch.manual_seed(0)
    return create_model("cdb-resnet20-cifar-n2", router={"dim": 8}).double().eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 3 * torch.randn(5, 3, 8, 8, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def noise(model) -> Tensor:
    return model.draw_noise(5, torch.Generator().manual_seed(2)).double()


@pytest.fixture(scope="module")
def output(model, images, noise) -> Output:
    return model(images, noise=noise, relaxed=True)


def affine(layer, vector: list[float]) -> list[float]:
    rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    return [sum(w * x for w, x in zip(row, vector, strict=True)) + b for row, b in rows]


def relu(vector: list[float]) -> list[float]:
    return [max(0.0, value) for value in vector]


def normed(norm, vector: list[float]) -> list[float]:
    if not isinstance(norm, torch.nn.BatchNorm1d):
        return vector
    statistics = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    columns = zip(vector, *(value.tolist() for value in statistics), strict=True)
    return [(x - mean) / (var + norm.eps) ** 0.5 * w + b for x, mean, var, w, b in columns]


def test_groups_are_chosen_by_eq_4_to_9(model, output, noise):
    """From each block's pooled input on; image by image."""
    for image in range(5):
        h: list[float] | None = None
        for block in range(9):
            router, head = model.routers[str(block)], model.gates[str(block)].head
            z = output.pooled[block][image].tolist()
            v = relu(normed(router.norm, affine(router.context, z)))
            if h is not None:
                v = [a + b for a, b in zip(v, relu(affine(router.history, h)), strict=True)]
            h = v
            g = affine(head, h)
            for group in range(2):
                delta_off, delta_on = noise[image, 2 * block + group].tolist()
                s = g[2 * group + 1] + delta_on > g[2 * group] + delta_off
                assert output.path[block].on[image, group].item() == s
                assert output.path[block].weight[image, group].item() == float(s)
    assert 0 < output.path.on.double().mean() < 1


def test_groups_add_up_on_the_identity(model, output, images):
    """Eq. 3, rectified; each block's input from the one before, each group as a chain of layers."""
    x = model.backbone.stem(images)
    for block, decision, pooled in zip(
        model.backbone.blocks, output.path, output.pooled, strict=True
    ):
        torch.testing.assert_close(pooled, x.mean((2, 3)))
        total = block.downsample(x)
        for n, path in enumerate(block.paths):
            y = x
            for conv, norm, activation in path.layers:
                y = activation(norm(conv(y)))
            total = total + decision.on[:, n].double()[:, None, None, None] * y
        x = total.clamp(min=0)
    torch.testing.assert_close(output.logits, model.backbone.head(x))


def test_noise_is_gaussian(model):
    noise = model.draw_noise(20_000, torch.Generator().manual_seed(0))
    assert noise.shape == (20_000, 18, 2)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    within = (noise.abs() < 1.96).double().mean().item()
    assert within == pytest.approx(0.95, abs=0.002)


def test_evaluation_draws_nothing(model, images):
    first = model(images)
    torch.manual_seed(3)
    second = model(images)
    assert first.path.on.equal(second.path.on)
    assert first.logits.equal(second.logits)
