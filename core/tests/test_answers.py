"""What people type by mistake is answered with what would have worked; reprs are short."""

import subprocess
import sys

import pytest
import torch

import dyncore

CODE = """
import torch, torchvision, dyncore
for wrong in (
    lambda: dyncore.create_model("resnet50"),
    lambda: dyncore.create_model("vanila-resnet50"),
    lambda: dyncore.create_model("vanilla-resnet50", num_classes="10"),
    lambda: dyncore.Engine(torchvision.models.resnet18(), torch.zeros(1, 3, 32, 32)),
):
    try:
        wrong()
    except (TypeError, ValueError) as error:
        print(error)
"""


def test_near_misses():
    """In a process of its own: here the checker of shapes would answer first."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=600)
    resnet50, vanila, classes, engine = done.stdout.splitlines()
    assert resnet50.startswith("unknown model 'resnet50': did you mean ")
    assert {"static-resnet50", "vanilla-resnet50"} <= set(resnet50[:-1].replace(",", "").split())
    assert vanila == "unknown model 'vanila-resnet50': did you mean vanilla-resnet50?"
    assert classes == "num_classes must be a whole number such as 10, not '10'"
    assert "not ResNet. A ResNet or MobileNetV2 of torchvision becomes one" in engine


def test_torchvisions_weights_load_as_the_answer_says():
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(num_classes=10).eval()
    network = dyncore.create_model("static-resnet18", num_classes=10).eval()
    network.backbone.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network(images).logits, theirs(images))


def test_the_folder_of_a_run_names_its_model(tmp_path):
    dyncore.create_model("vanilla-resnet20-cifar").save_pretrained(tmp_path / "run" / "model")
    with pytest.raises(FileNotFoundError) as raised:
        dyncore.from_pretrained(tmp_path / "run")
    inner = tmp_path / "run" / "model"
    assert str(raised.value) == f"{tmp_path / 'run'} is the folder of a run: its model is {inner}"


def test_reprs_say_what_it_is_in_a_few_lines():
    network = dyncore.create_model("vanilla-resnet20-cifar").eval()
    count = sum(parameter.numel() for parameter in network.parameters())
    assert repr(network) == (
        f"DynamicNetwork(vanilla-resnet20-cifar: 10 classes, {count:,} parameters, torch.float32, "
        "cpu\n  9 gated blocks of 1 paths; router short-range, gate gumbel-softmax, blend)"
    )
    static = dyncore.create_model("static-resnet20-cifar")
    assert repr(static).endswith("\n  static: every block runs)")
    images = torch.zeros(2, 3, 32, 32)
    path = "ExecutionPath(batch 2: 9 paths in 9 blocks)"
    assert repr(network(images).path) == path
    assert repr(network(images)) == (
        f"Output(logits (2, 10) torch.float32, {path}, features (2, 64, 8, 8))"
    )
    engine = dyncore.Engine(network, images, threads=1)
    assert repr(engine).startswith("Engine(threads=1) of DynamicNetwork(vanilla-resnet20-cifar: ")
