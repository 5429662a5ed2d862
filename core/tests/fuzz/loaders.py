"""What reads strangers' files: for each, whole files, the ways to damage them, and how to read."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import damage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import load, save

import dyncore
from dyncore.backbones import ResNetConfig
from dyncore.blocks import Granularity
from dyncore.data import Loader, load_dataset
from dyncore.data._decode import decode
from dyncore.gating import (
    ContextRouterConfig,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
)
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo
from dyncore.training import Evaluation, RunOptions, find_recipe
from dyncore.training._run_folder import find_start, save_recipe

Kind = tuple[Callable[[Random, Any], Any], bool]
"""A way to damage, and whether what it makes must always be refused."""


@dataclass(frozen=True)
class Target:
    """A loader."""

    error: type[Exception]
    """The one documented type of exception."""
    prepare: Callable[[Path], Any]
    """Makes what is whole in an empty folder; what it returns goes to the others."""
    kinds: dict[str, Kind]
    damage: Callable[[Any, Path, Callable[[Random, Any], Any], Random], Path]
    """Writes a damaged input into an empty folder; where it is."""
    read: Callable[[Path], object]


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


def in_model(file: str, as_json: bool) -> Callable[..., Path]:
    def write(models: list[Path], folder: Path, change: Any, random: Random) -> Path:
        target = folder / "model"
        shutil.copytree(random.choice(models), target)
        changed(target / file, change, random, as_json)
        return target

    return write


def changed(file: Path, change: Any, random: Random, as_json: bool) -> None:
    whole = file.read_bytes()
    value = change(random, json.loads(whole) if as_json else whole)
    if as_json and not isinstance(value, str):
        value = dumps(value)
    file.write_bytes(value if isinstance(value, bytes) else value.encode("utf-8", "replace"))


def dumps(value: Any) -> str:
    import sys

    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value)
    finally:
        sys.set_int_max_str_digits(4300)


def read_model(folder: Path) -> None:
    model = dyncore.from_pretrained(folder)
    assert all(t.isfinite().all() for t in model.state_dict().values() if t.is_floating_point())
    with torch.no_grad():
        model(torch.zeros(1, 3, 16, 16, dtype=next(model.parameters()).dtype))


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


FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def picture(random: Random, side: int, kind: str) -> bytes:
    pixels = np.frombuffer(random.randbytes(side * side * 3), np.uint8).reshape(side, side, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side + 3)).save(file, kind)
    return file.getvalue()


def pictures(folder: Path) -> list[bytes]:
    return [picture(Random(kind), side, kind) for kind in FORMATS for side in (8, 40)]


def in_picture(images: list[bytes], folder: Path, change: Any, random: Random) -> Path:
    (folder / "image").write_bytes(change(random, random.choice(images)))
    return folder / "image"


def read_picture(file: Path) -> None:
    """What passes the check of skip_corrupt is read later, too."""
    image: Any = {"bytes": file.read_bytes(), "path": None}
    try:
        decode(image, "row 0", draft=True)
    except dyncore.DataFileError:
        decode(image, "row 0")
        return
    try:
        decode(image, "row 0")
    except dyncore.DataFileError as error:
        raise AssertionError("it passed the check, but cannot be read") from error


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def whole_table(folder: Path) -> dict[str, Any]:
    """Columns of a small data set."""
    return {
        "img": [{"bytes": picture(Random(n), 8, "PNG"), "path": f"{n}.png"} for n in range(12)],
        "label": [n % 3 for n in range(12)],
    }


METADATA = {
    "info": {
        "features": {
            "img": {"_type": "Image"},
            "label": {"names": ["ant", "bee", "cow"], "_type": "ClassLabel"},
        }
    }
}


def parquet(columns: dict[str, Any], metadata: Any = None, image: Any = IMAGE) -> bytes:
    arrays = {
        name: pa.array(values, image) if name == "img" else pa.array(values)
        for name, values in columns.items()
    }
    table = pa.table(arrays)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else dumps(metadata)
        table = table.replace_schema_metadata({"huggingface": text.encode("utf-8", "replace")})
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def in_bytes(change: damage.Bytes) -> Callable[[Random, dict[str, Any]], bytes]:
    def write(random: Random, columns: dict[str, Any]) -> bytes:
        return change(random, parquet(columns, random.choice([None, METADATA])))

    return write


def in_metadata(change: damage.Json) -> Callable[[Random, dict[str, Any]], bytes]:
    def write(random: Random, columns: dict[str, Any]) -> bytes:
        return parquet(columns, change(random, json.loads(json.dumps(METADATA))))

    return write


def column_missing(random: Random, columns: dict[str, Any]) -> bytes:
    del columns[random.choice(list(columns))]
    return parquet(columns | random.choice([{}, {"other": [0] * 12}, {"Label": [0] * 12}]))


def column_retyped(random: Random, columns: dict[str, Any]) -> bytes:
    wrong: list[list[Any]] = [
        ["x"] * 12,
        [1.5] * 12,
        [None] * 12,
        [b"x"] * 12,
        [[1]] * 12,
        [{"bytes": 7, "path": 7}] * 12,
        [{"bytes": b"x"}] * 12,
        [True] * 12,
    ]
    name = random.choice(list(columns))
    columns[name] = random.choice(wrong)
    return parquet(columns, random.choice([None, METADATA]), image=None)


def label_absurd(random: Random, columns: dict[str, Any]) -> bytes:
    numbers = [-1, 10**5, 10**9, 2**62, -(2**62), None, 3]
    named = random.choice([None, METADATA])
    choice = random.choice(numbers if named else [n for n in numbers if n != 3])
    columns["label"][random.randrange(12)] = choice
    return parquet(columns, named)


def image_path(random: Random, columns: dict[str, Any]) -> bytes:
    """A row names a file of this machine instead of holding an image."""
    paths = [str(Path(__file__)), "/etc/passwd", "/dev/zero", "../../x.png", "~/x.png", "\0", ""]
    row = columns["img"][random.randrange(12)]
    row["bytes"], row["path"] = None, random.choice(paths)
    return parquet(columns, random.choice([None, METADATA]))


def image_damaged(random: Random, columns: dict[str, Any]) -> bytes:
    row = columns["img"][random.randrange(12)]
    half = row["bytes"][: len(row["bytes"]) // 2]  # without its last bytes, a PNG is still read
    row["bytes"] = random.choice([damage.truncated, damage.noise])(random, half)
    return parquet(columns, random.choice([None, METADATA]))


def in_table(columns: Any, folder: Path, change: Any, random: Random) -> Path:
    fresh = {"img": [dict(row) for row in columns["img"]], "label": list(columns["label"])}
    (folder / "test-0.parquet").write_bytes(change(random, fresh))
    return folder


def whole_folder(folder: Path) -> list[bytes]:
    return [picture(Random(n), 70, random) for n, random in enumerate(["PNG", "JPEG"] * 2)]


def in_folder(images: list[bytes], folder: Path, change: Any, random: Random) -> Path:
    damaged = random.randrange(len(images))
    for n, data in enumerate(images):
        file = folder / "test" / "ab"[n % 2] / f"{n}.{'png' if n % 2 else 'jpg'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(change(random, data) if n == damaged else data)
    return folder


def read_data(folder: Path) -> None:
    """Strictly; and with skip_corrupt, when everything that is left must be readable."""
    try:
        list(_loader(load_dataset(str(folder))).epoch(0))
    except dyncore.DataFileError as error:
        if "not a readable image" in str(error) or "there is no image" in str(error):
            list(_loader(load_dataset(str(folder), skip_corrupt=True)).epoch(0))
        raise


def _loader(dataset: dyncore.data.Dataset) -> Loader:
    return Loader(
        dataset.test,
        batch_size=4,
        preprocessing=replace(dataset.preprocessing, size=8, resize=None),
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        device="cpu",
    )


def whole_evaluation(folder: Path) -> bytes:
    random = np.random.default_rng(0)
    Evaluation(
        label=random.integers(0, 3, 9),
        prediction=random.integers(0, 3, 9),
        macs=random.integers(1, 99, 9),
        path=random.random((9, 4)) < 0.5,
        channels=random.random((9, 6)) < 0.5,
        blocks=np.array([0, 1, 1, 2]),
        gated=np.array([False, True, True, True]),
        static_macs=50,
    ).save(folder / "evaluation.parquet")
    return (folder / "evaluation.parquet").read_bytes()


def in_evaluation(whole: bytes, folder: Path, change: Any, random: Random) -> Path:
    (folder / "evaluation.parquet").write_bytes(change(random, whole))
    return folder / "evaluation.parquet"


def rewritten(change: Callable[[Random, pa.Table], pa.Table]) -> damage.Bytes:
    def write(random: Random, data: bytes) -> bytes:
        file = io.BytesIO()
        pq.write_table(change(random, pq.read_table(io.BytesIO(data))), file)
        return file.getvalue()

    return write


def evaluation_column_missing(random: Random, table: pa.Table) -> pa.Table:
    names = [name for name in table.column_names if name not in ("index", "channels")]
    return table.drop_columns(random.sample(names, random.choice([1, 2])))


def evaluation_column_retyped(random: Random, table: pa.Table) -> pa.Table:
    name = random.choice(["label", "prediction", "macs", "path", "channels"])
    wrong: list[Any] = [
        ["x"] * 9, [None] * 9, [float("nan")] * 9, [0.5] * 9, [[True]] * 8 + [[]],
        [[True] * 3] * 9, [[None] * 4] * 9, [["x"] * 4] * 9, [{"a": 1}] * 9, [-1] * 9,
        [[7] * 4] * 9,
    ]  # fmt: skip
    number = table.column_names.index(name)
    return table.set_column(number, name, pa.array(random.choice(wrong)))


def evaluation_metadata(random: Random, table: pa.Table) -> pa.Table:
    metadata = dict(table.schema.metadata)
    key = random.choice([b"blocks", b"gated", b"static_macs"])
    wrong = [b"", b"x", b"1 2", b"-1", b"0", b"9" * 5000, b"\xff", b"1.5", b"nan", b"0 " * 99]
    metadata[key] = random.choice(wrong)
    if random.random() < 0.3:
        del metadata[key]
    return table.replace_schema_metadata(metadata)


def surely(kinds: dict[str, Any]) -> dict[str, Kind]:
    """Damage that must be refused."""
    return {name: (change, True) for name, change in kinds.items()}


def perhaps(kinds: dict[str, Any]) -> dict[str, Kind]:
    """Damage that may leave, or make, something that is valid."""
    return {name: (change, False) for name, change in kinds.items()}


CERTAIN = ("nested deeply", "key twice", "number not finite")
JSON_KINDS = {name: (change, name in CERTAIN) for name, change in damage.JSON.items()}
JSON_BYTES = perhaps(damage.BYTES | {"encoding": damage.encoded}) | surely(
    {"truncated": lambda random, data: damage.truncated(random, data.rstrip())}
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
    "image": Target(
        dyncore.DataFileError,
        pictures,
        perhaps(damage.BYTES | {"start changed": damage.start_flipped}),
        in_picture,
        read_picture,
    ),
    "image folder": Target(
        dyncore.DataFileError,
        whole_folder,
        perhaps(damage.BYTES | {"start changed": damage.start_flipped}),
        in_folder,
        read_data,
    ),
    "data.parquet": Target(
        dyncore.DataFileError,
        whole_table,
        surely(
            {
                "truncated": in_bytes(damage.truncated),
                "column missing": column_missing,
                "label absurd": label_absurd,
                "image only named": image_path,
                "image damaged": image_damaged,
            }
        )
        | perhaps(
            {
                "column of another type": column_retyped,
                "bytes changed": in_bytes(damage.flipped),
                "end changed": in_bytes(damage.end_flipped),
                "metadata key missing": in_metadata(damage.missing),
                "metadata wrong type": in_metadata(damage.retyped),
                "metadata strange name": in_metadata(damage.renamed),
                "metadata nested": in_metadata(damage.nested),
            }
        ),
        in_table,
        read_data,
    ),
    "evaluation.parquet": Target(
        dyncore.DataFileError,
        whole_evaluation,
        surely(
            {
                "truncated": damage.truncated,
                "column missing": rewritten(evaluation_column_missing),
            }
        )
        | perhaps(
            {
                "bytes changed": damage.flipped,
                "end changed": damage.end_flipped,
                "noise": damage.noise,
                "column of another type": rewritten(evaluation_column_retyped),
                "metadata": rewritten(evaluation_metadata),
            }
        ),
        in_evaluation,
        lambda file: Evaluation.load(file).metrics(),
    ),
}
