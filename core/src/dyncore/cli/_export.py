"""``dyn export``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor

from dyncore.data import Loader, Preprocessing, Split, load_dataset
from dyncore.export import changes, export_onnx, export_pt2, fixed_paths, freeze_unused
from dyncore.gating import BlindRouter
from dyncore.network import DynamicNetwork, from_pretrained

BATCH = 64
"""Images per batch of the calibration."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write a saved model to a float32 file that runs without this project's Python code."""

    model: Annotated[str, tyro.conf.Positional]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub."""
    format: Literal["onnx", "pt2"]
    """ONNX (batches of any size), or AOTInductor's package, compiled for this machine."""
    output: str | None = None
    """The file; None: model.onnx or model.pt2."""
    batch_size: int = 1
    """Images per batch of a pt2 file; an ONNX file takes any number."""
    skip: bool = False
    """pt2: do not run what no image of the batch chose. docs/deploying.md says when it pays."""
    static_subnet: bool = False
    """Freeze what is never or always on for the images of ``--calibrate``."""
    calibrate: str | None = None
    """Hub id or folder of the data set for ``--static-subnet``, or ``digits``: its train split
    says what is frozen, its test split what that changes (with one split: that one says both)."""
    calibration_images: int = 10_000
    """Images of a split that are read at most, drawn at random."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.calibration_images < 1:
            raise ValueError(
                f"calibration_images must be at least 1, not {self.calibration_images}"
            )
        if self.static_subnet != (self.calibrate is not None):
            raise ValueError("--static-subnet and --calibrate DATA go together: give both")
        if self.format == "onnx" and self.skip:
            raise ValueError(
                "--skip is for --format pt2: in ONNX Runtime conditions cost more than they save"
            )
        if self.format == "onnx" and self.batch_size != 1:
            raise ValueError("--batch-size is for --format pt2: an ONNX file takes any batch")


def run_export(arguments: Sequence[str]) -> None:
    """``dyn export MODEL --format onnx|pt2 [--static-subnet --calibrate DATA]``."""
    options = tyro.cli(Arguments, prog="dyn export", args=list(arguments))
    model = from_pretrained(options.model, revision=options.revision).float()
    preprocessing = model.info.preprocessing
    if preprocessing is None:
        raise ValueError(
            "this model has no preprocessing, so its input size is unknown: train it with dyn "
            "train, or export it in Python with dyncore.export and images of the right size"
        )
    network = model
    if options.calibrate is not None:
        network = _subnet(model, options, preprocessing)
    output = options.output or f"model.{options.format}"
    shape = (3, preprocessing.size, preprocessing.size)
    generator = torch.Generator().manual_seed(0)
    if options.format == "onnx":
        agreement = export_onnx(network, torch.randn(8, *shape, generator=generator), output)
    else:
        images = torch.randn(options.batch_size, *shape, generator=generator)
        agreement = export_pt2(network, images, output, skip=options.skip)
    print(
        f"checked on {agreement.images} random images: error {agreement.error:.2g} against "
        f"float64 (eager's {agreement.eager_error:.2g}), {agreement.other_decisions} images "
        "decided otherwise"
    )
    print(f"written: {output}")


def _subnet(
    model: DynamicNetwork, options: Arguments, preprocessing: Preprocessing
) -> DynamicNetwork:
    dataset = load_dataset(options.calibrate or "")
    seen, unseen = dataset.train or dataset.test, dataset.test or dataset.train
    subnet = freeze_unused(model, _images(seen, options, preprocessing))
    decided = [value for fixed in fixed_paths(subnet) for value in fixed]
    routers = sum(site.gated and not isinstance(site.router, BlindRouter) for site in subnet.sites)
    print(
        f"of {len(decided)} paths {decided.count(False)} were never on and are removed, "
        f"{decided.count(True)} are always on; {routers} routers stay"
    )
    found = changes(model, subnet, _images(unseen, options, preprocessing))
    split = "other" if dataset.train and dataset.test else "the same"
    print(
        f"on {found.images} {split} images this changes decisions for {found.decisions:.2%}, "
        f"predictions for {found.predictions:.2%}"
    )
    return subnet


def _images(
    split: Split | None, options: Arguments, preprocessing: Preprocessing
) -> Iterator[Tensor]:
    """Some images of a split, normalised; the same ones each time."""
    if split is None:
        raise ValueError(f"data set {options.calibrate!r} has no images")
    loader = Loader(
        split,
        batch_size=BATCH,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=True,  # a folder of images by class is sorted
        drop_last=False,
        device="cpu",
    )
    left = options.calibration_images
    for batch in loader.epoch(0):
        yield preprocessing.normalize(batch.images[:left])
        left -= len(batch.images[:left])
        if not left:
            return
