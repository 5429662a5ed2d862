"""``config.json``, ``cascade.json`` and ``model.safetensors`` of models, and ``recipe.json``."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import damage
import torch
from safetensors.torch import load, save
from target import JSON_BYTES, JSON_KINDS, Target, changed, perhaps, surely

import dyncore
from dyncore.backbones import ResNetConfig
from dyncore.blocks import Granularity
from dyncore.cascade import Cascade, Member
from dyncore.gating import (
    ContextRouterConfig,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
)
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo
from dyncore.recipes import find_recipe
from dyncore.training import RunOptions
from dyncore.training._run_folder import find_start, save_recipe


def tiny_models() -> list[DynamicNetwork]:
    small = ResNetConfig(block="basic", depths=(1, 1), widths=(4, 8), stem="cifar", shortcut="pad")
    wide = ResNetConfig(block="bottleneck", depths=(1, 1), widths=(4, 8), stem="imagenet")
    parts: list[dict[str, Any]] = [
        {"backbone": small},
        {
            "backbone": small,
            "router": ShortRangeRouterConfig(dim=6),
            "gate": GumbelSoftmaxGateConfig(),
            "combine": "blend",
        },
        {
            "backbone": wide,
            "router": ContextRouterConfig(dim=6),
            "gate": StraightThroughGateConfig(),
            "granularity": Granularity(paths=2),
        },
        {
            "backbone": wide,
            "router": IdentityRouterConfig(),
            "gate": ReLU1GateConfig(),
            "granularity": Granularity(channels=True),
        },
    ]
    info = ModelInfo(
        method="vanilla",
        model="vanilla-resnet20-cifar",
        classes=("ant", "bee", "cow"),
        preprocessing=dyncore.data.Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=8),
        dataset="digits",
        metrics={"accuracy": 0.5},
        recipe={"name": "r", "dataset": "digits", "phases": [{"epochs": 1.0}]},
    )
    return [DynamicNetwork(DynamicConfig(num_classes=3, **part), info) for part in parts]


def whole_models(folder: Path) -> list[Path]:
    paths = []
    for index, model in enumerate(tiny_models()):
        model.save_pretrained(folder / str(index))
        paths.append(folder / str(index))
    return paths


def whole_cascades(folder: Path) -> list[Path]:
    members = [replace(Member.of(model), name=str(i)) for i, model in enumerate(tiny_models())]
    known, unknown = Cascade(members[1::-1]), Cascade(members[:3], confidence="margin", cap=0.5)
    images = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    known.calibrate([(images, torch.arange(8) % 3)], budget=4.0)
    for index, cascade in enumerate((known, unknown)):
        cascade.save_pretrained(folder / str(index))
    return [folder / "0", folder / "1"]


def in_model(file: str, as_json: bool) -> Callable[..., Path]:
    def write(models: list[Path], folder: Path, change: Any, random: Random) -> Path:
        target = folder / "model"
        shutil.copytree(random.choice(models), target)
        changed(target / file, change, random, as_json)
        return target

    return write


def read_model(folder: Path) -> None:
    model = dyncore.from_pretrained(folder)
    assert all(t.isfinite().all() for t in model.state_dict().values() if t.is_floating_point())
    with torch.no_grad():
        model(torch.zeros(1, 3, 16, 16, dtype=next(model.parameters()).dtype))


def read_cascade(folder: Path) -> None:
    cascade = dyncore.from_pretrained(folder)
    assert isinstance(cascade, Cascade)
    sizes = [member.preprocessing.size for member in cascade.members if member.preprocessing]
    if max(sizes, default=0) <= 64:  # larger ones are honest, and slow
        with suppress(ValueError):  # statistics that no image has: answers are refused
            cascade(torch.zeros(2, 3, 8, 8))


def with_tensors(change: Callable[[Random, dict[str, torch.Tensor]], None]) -> damage.Bytes:
    """A safetensors file that is whole, of tensors that are not."""

    def write(random: Random, data: bytes) -> bytes:
        tensors = load(data)
        change(random, tensors)
        return save(tensors, {"format": "pt"})

    return write


def _floating(random: Random, tensors: dict[str, torch.Tensor]) -> str:
    return random.choice([name for name, t in tensors.items() if t.is_floating_point()])


def not_finite(random: Random, tensors: dict[str, torch.Tensor]) -> None:
    values = tensors[_floating(random, tensors)].view(-1)
    values[random.randrange(len(values))] = random.choice([float("nan"), float("inf"), -torch.inf])


def reshaped(random: Random, tensors: dict[str, torch.Tensor]) -> None:
    name = random.choice([name for name, t in tensors.items() if t.ndim])
    tensor = tensors[name]
    tensors[name] = random.choice(
        [tensor[:-1], torch.cat([tensor, tensor]), tensor[None], tensor.reshape(-1, 1, 1)]
    ).clone()


def retyped(random: Random, tensors: dict[str, torch.Tensor]) -> None:
    name = random.choice(list(tensors))
    others = [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.bool]
    tensors[name] = tensors[name].to(random.choice(others))


def tensor_missing(random: Random, tensors: dict[str, torch.Tensor]) -> None:
    for name in random.sample(list(tensors), random.choice([1, 1, 5])):
        del tensors[name]


def tensor_extra(random: Random, tensors: dict[str, torch.Tensor]) -> None:
    if random.random() < 0.5:
        tensors[random.choice([*damage.NAMES[:-1], "fc.weight"])] = torch.zeros(2)
    else:
        name = random.choice(list(tensors))
        tensors[random.choice([name + "x", name.upper(), "module." + name])] = tensors.pop(name)


def whole_run(folder: Path) -> tuple[Path, Any, RunOptions]:
    recipe, options = find_recipe("vanilla-resnet20-digits-b0.5"), RunOptions(resume="auto")
    save_recipe(folder, recipe, options)
    return folder / "recipe.json", recipe, options


def in_recipe(as_json: bool) -> Callable[..., Path]:
    def write(run: Any, folder: Path, change: Any, random: Random) -> Path:
        shutil.copy(run[0], folder / "recipe.json")
        changed(folder / "recipe.json", change, random, as_json)
        return folder

    return write


def read_recipe(folder: Path) -> None:
    find_start(
        folder,
        find_recipe("vanilla-resnet20-digits-b0.5"),
        RunOptions(resume="auto"),
        "fingerprint",
    )


def version(random: Random, value: Any) -> Any:
    value["format"] = random.choice([0, 2, 3, -1, 1.0, "1", None, True, [1], {}, 10**30, "latest"])
    return value


WEIGHTS = surely(
    {
        "header cut": damage.cut_header,
        "values cut": damage.cut_values,
        "header length": damage.header_length,
        "shape in header": damage.header_shape,
        "type in header": damage.header_type,
        "header twice": damage.in_header(damage.twice),
        "header nested": damage.in_header(damage.nested),
        "other shape": with_tensors(reshaped),
        "tensor missing": with_tensors(tensor_missing),
        "tensor extra": with_tensors(tensor_extra),
        "value not finite": with_tensors(not_finite),
        "appended": damage.appended,
    }
) | perhaps(
    {
        "other type": with_tensors(retyped),
        "offsets": damage.swapped,
        "bytes changed": damage.flipped,
        "header changed": damage.start_flipped,
        "header key missing": damage.in_header(damage.missing),
        "header wrong type": damage.in_header(damage.retyped),
        "noise": damage.noise,
    }
)

TARGETS = {
    "config.json": Target(
        dyncore.ModelFileError,
        whole_models,
        JSON_KINDS | surely({"version": version}),
        in_model("config.json", as_json=True),
        read_model,
    ),
    "config.json, bytes": Target(
        dyncore.ModelFileError,
        whole_models,
        JSON_BYTES,
        in_model("config.json", as_json=False),
        read_model,
    ),
    "model.safetensors": Target(
        dyncore.ModelFileError,
        whole_models,
        WEIGHTS,
        in_model("model.safetensors", as_json=False),
        read_model,
    ),
    "cascade.json": Target(
        dyncore.ModelFileError,
        whole_cascades,
        JSON_KINDS | surely({"version": version}),
        in_model("cascade.json", as_json=True),
        read_cascade,
    ),
    "cascade.json, bytes": Target(
        dyncore.ModelFileError,
        whole_cascades,
        JSON_BYTES,
        in_model("cascade.json", as_json=False),
        read_cascade,
    ),
    "recipe.json": Target(
        ValueError,
        whole_run,
        JSON_KINDS,
        in_recipe(as_json=True),
        read_recipe,
    ),
    "recipe.json, bytes": Target(
        ValueError,
        whole_run,
        JSON_BYTES,
        in_recipe(as_json=False),
        read_recipe,
    ),
}
