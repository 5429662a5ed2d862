"""Folders that hold no model, or a damaged one: what is wrong is said, and nothing is built."""

import json
import resource

import pytest
import torch
from safetensors.torch import load_file, save_file

import dyncore
from dyncore.parts import registered

pytestmark = pytest.mark.usefixtures("absent")


@pytest.fixture
def damage(saved):
    """Changes a value of the saved config.json, given by its path of keys."""

    def damage(*keys, value):
        file = saved / "config.json"
        config = json.loads(file.read_text())
        inner = config
        for key in keys[:-1]:
            inner = inner[key]
        if value is None:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        file.write_text(json.dumps(config))

    return damage


@pytest.mark.parametrize(
    ("keys", "name", "message"),
    [
        (("info", "method"), "absent", "unknown method 'absent'; .* pip install dyn-absent;"),
        (("info", "method"), "new", "unknown method 'new'; install it with: pip install dyn-echo;"),
        (("network", "router", "name"), "echo", "unknown router 'echo'; install it with: pip inst"),
        (("network", "gate", "name"), "echo", "unknown gate 'echo'; install it with: pip install"),
        (("network", "backbone", "name"), "echo", "unknown backbone 'echo'; install it with: pip"),
    ],
)
def test_what_is_not_installed_says_which_package_to_install(
    saved, damage, monkeypatch, keys, name, message
):
    monkeypatch.delitem(registered("methods"), "cdb", raising=False)
    damage("requires", value={"dyncore": "0.1.0", "dyn-echo": "1.5"})
    damage(*keys, value=name)

    with pytest.raises(dyncore.ModelFileError, match=message) as error:
        dyncore.from_pretrained(saved)
    assert str(saved) in str(error.value)
    assert f"pip install {'dyn-absent' if name == 'absent' else 'dyn-echo'};" in str(error.value)


@pytest.mark.parametrize("requires", [None, "dyn-echo", {"dyncore": "9.0"}])
def test_an_unknown_part_without_a_package_lists_what_is_known(saved, damage, requires):
    damage("requires", value=requires)
    damage("network", "router", "name", value="echo")

    with pytest.raises(
        dyncore.ModelFileError,
        match="unknown router 'echo'; installed routers: codebook, context, identity",
    ):
        dyncore.from_pretrained(saved)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("format",), 2, "has format 2, this dyncore reads 1: update dyncore, or save the model"),
        (("format",), None, "has format None, this dyncore reads 1"),
        (("network",), None, "network: expected an object with the fields of DynamicConfig, not N"),
        (("network",), [1], "network: expected an object with the fields of DynamicConfig, not"),
        (("network", "num_classes"), "5", "network: expected int, not '5' @ DynamicConfig.num_cl"),
        (("network", "num_classes"), True, "network: expected int, not True @ DynamicConfig.num_"),
        (("network", "num_classes"), None, "required field missing @ DynamicConfig.num_classes"),
        (("network", "colour"), "red", "no field 'colour'; the fields are backbone, num_classes,"),
        (("network", "router", "dim"), 2.5, "router 'short-range': expected int, not 2.5"),
        (("network", "router", "size"), 3, "router 'short-range': no field 'size'; the fields are"),
        (("network", "router"), None, "router and gate go together"),
        (("network", "gate", "temperature"), -1, "gate 'gumbel-softmax': temperature must be posi"),
        (("info",), None, "info: expected an object with the fields of ModelInfo, not None"),
        (("info", "classes"), "ant", "info: expected a list, not 'ant' @ ModelInfo.classes"),
        (("info", "preprocessing", "size"), 0, "info: preprocessing.size must be at least 1 pixel"),
    ],
)
def test_a_damaged_config_names_file_and_field(saved, damage, keys, value, message):
    damage(*keys, value=value)

    with pytest.raises(dyncore.ModelFileError) as error:
        dyncore.from_pretrained(saved)
    assert str(error.value).startswith(f"config.json of {saved}")
    assert message in str(error.value)


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_missing_tensor_is_named(saved):
    rewrite(saved, lambda tensors: tensors.pop("backbone.fc.bias"))
    with pytest.raises(dyncore.ModelFileError, match=r"model: backbone\.fc\.bias is missing$"):
        dyncore.from_pretrained(saved)


def test_an_extra_tensor_is_named(saved):
    rewrite(saved, lambda tensors: tensors.update(odd=torch.zeros(1)))
    with pytest.raises(dyncore.ModelFileError, match=r"model: odd is not in the model$"):
        dyncore.from_pretrained(saved)


def test_a_tensor_of_another_shape_is_named(saved):
    rewrite(saved, lambda tensors: tensors.update({"backbone.fc.bias": torch.zeros(7)}))
    with pytest.raises(
        dyncore.ModelFileError,
        match=r"model: backbone\.fc\.bias has shape \(7,\), expected \(5,\)$",
    ):
        dyncore.from_pretrained(saved)


def test_many_problems_are_told_in_order_and_counted(saved):
    rewrite(saved, lambda tensors: [tensors.pop(name) for name in sorted(tensors)[3:13]])
    with pytest.raises(dyncore.ModelFileError, match=r"is missing; and 2 more$") as error:
        dyncore.from_pretrained(saved)
    problems = str(error.value).partition("model: ")[2].split("; ")[:8]
    assert problems == sorted(problems)


def test_files_that_are_not_there_are_named(saved, tmp_path):
    (saved / "model.safetensors").unlink()
    with pytest.raises(dyncore.ModelFileError, match=r"model\.safetensors is missing"):
        dyncore.from_pretrained(saved)
    (saved / "config.json").unlink()
    with pytest.raises(dyncore.ModelFileError, match=r"config\.json is missing"):
        dyncore.from_pretrained(saved)
    with pytest.raises(FileNotFoundError, match="give a folder written by save_pretrained"):
        dyncore.from_pretrained(tmp_path / "else" / "where")


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        (
            "backbone.fc.bias",
            torch.float64,
            r"several types \(torch.float32, torch.float64\): conv",
        ),
        ("backbone.fc.bias", torch.int32, r"several types \(torch.float32, torch.int32\)"),
        ("backbone.bn1.num_batches_tracked", torch.int32, "has type torch.int32, expected torch.i"),
        ("backbone.bn1.num_batches_tracked", torch.float32, "has type torch.float32, expected tor"),
    ],
)
def test_a_tensor_of_another_type_is_named(saved, name, dtype, message):
    rewrite(saved, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    with pytest.raises(dyncore.ModelFileError, match=message):
        dyncore.from_pretrained(saved)


def test_a_type_that_no_model_has_is_named(saved):
    rewrite(saved, lambda tensors: tensors.update(x=torch.zeros(2, dtype=torch.complex64)))
    with pytest.raises(
        dyncore.ModelFileError, match="x has type C64; a model's tensors are one of"
    ):
        dyncore.from_pretrained(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_not_finite_is_named(saved, value):
    rewrite(saved, lambda tensors: tensors["backbone.fc.weight"].view(-1)[3:].fill_(value))
    with pytest.raises(dyncore.ModelFileError, match=r"backbone\.fc\.weight holds NaN or infinite"):
        dyncore.from_pretrained(saved)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("num_classes",), 10**9, "network.num_classes is 1e\\+09: the sizes of a network add up"),
        (("num_classes",), 10**4000, "network.num_classes is 1e\\+300: the sizes of a network add"),
        (("num_classes",), 1_000_000, "info.classes has 5 names, network.num_classes is 1000000"),
        (("backbone", "widths"), [4, 10**9], r"network.backbone.widths\[1\] is 1e\+09"),
        (
            ("backbone", "widths"),
            [4, 200_000],
            r"fc.weight has shape \(5, 8\), expected \(5, 200000\)",
        ),
        (("backbone", "depths"), [1, 10**9], r"network.backbone.depths\[1\] is 1e\+09"),
        (("backbone", "depths"), [1, 900_000], r"describes more than the \d+ tensors of the file"),
        (("backbone", "depths"), [300_000] * 9, r"network.backbone.depths\[0\] is 3e\+05"),
        (("granularity", "paths"), 10**9, "network.granularity.paths is 1e\\+09"),
        (("router", "dim"), 10**18, "network.router.dim is 1e\\+18"),
        (("router", "dim"), 500_000, r"align.weight has shape \(\d+, 4\), expected \(500000, 4\)"),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(saved, damage, keys, value, message):
    damage("network", *keys, value=value)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(dyncore.ModelFileError, match=message):
        dyncore.from_pretrained(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start < 200_000  # KiB


def test_building_without_memory_leaves_nothing_behind(saved, damage):
    """Neither the count of parameters nor the meta device outlives a refusal."""
    damage("network", "backbone", "depths", value=[1, 900])
    with pytest.raises(dyncore.ModelFileError):
        dyncore.from_pretrained(saved)
    model = dyncore.create_model("vanilla-resnet56-cifar")
    assert not any(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("size", [2**14 + 1, 10**9])
def test_an_absurd_image_size_is_refused(saved, damage, size):
    damage("info", "preprocessing", "size", value=size)
    with pytest.raises(
        dyncore.ModelFileError, match=r"size must be at least 1 pixel and at most 1"
    ):
        dyncore.from_pretrained(saved)


@pytest.mark.parametrize("name", ["evil; rm -rf ~", "--index-url http://x evil", "a b", "", "x/y"])
def test_a_stranger_cannot_make_us_advise_a_command(saved, damage, name):
    damage("requires", value={name: "1.0"})
    damage("network", "router", "name", value="echo")
    with pytest.raises(dyncore.ModelFileError) as error:
        dyncore.from_pretrained(saved)
    assert "pip install" not in str(error.value)
