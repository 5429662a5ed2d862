"""``dyn export``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from dyncore.cli._guard import fail
from dyncore.cli._options import ExportOptions
from dyncore.cli._waiting import waiting
from dyncore.data import Loader, Preprocessing, Split, load_dataset
from dyncore.export import (
    ExportError,
    changes,
    export_onnx,
    export_pt2,
    fixed_paths,
    freeze_unused,
    time_file,
)
from dyncore.gating import BlindRouter
from dyncore.network import DynamicNetwork, from_pretrained

BATCH = 64
"""Images per batch of the calibration."""


def run(options: ExportOptions) -> None:
    """``dyn export MODEL --format onnx|pt2 [--static-subnet --calibrate DATA]``.

    What cannot be exported ends with status 1.
    """
    try:
        _export(options)
    except ExportError as error:
        fail(str(error), status=1)


def _export(options: ExportOptions) -> None:
    model = from_pretrained(options.model, revision=options.revision).float()
    if options.budget is not None:
        model.set_budget(options.budget)
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
    shape = (model.config.backbone.in_channels, preprocessing.size, preprocessing.size)
    generator = torch.Generator().manual_seed(0)
    with waiting(f"exporting to {output}"):
        if options.format == "onnx":
            images = torch.randn(8, *shape, generator=generator)
            agreement = export_onnx(network, images, output)
        else:
            images = torch.randn(options.batch_size, *shape, generator=generator)
            agreement = export_pt2(network, images, output, skip=options.skip)
    print(
        f"checked on {agreement.images} random images: error {agreement.error:.2g} against "
        f"float64 (eager's {agreement.eager_error:.2g}), {agreement.other_decisions} images "
        "decided otherwise"
    )
    if options.measure:
        _measure(Path(output), network, images[: options.batch_size])
    print(f"written: {output}")


def _measure(file: Path, network: DynamicNetwork, images: Tensor) -> None:
    """Say what the file takes, and warn where it loses."""
    with waiting("measuring beside the static network"):
        found = time_file(file, network, images)
    print(
        f"{found.file:.3g} ms per image here, batch {len(images)}, {torch.get_num_threads()} "
        f"threads; the static network, exported alike: {found.static:.3g} ms ({found.ratio:.2f})"
    )
    if found.ratio > 1:
        print(
            "dyn: warning: this file is slower than the static network's. A masked file computes "
            "everything; dyncore.Engine skips, and --static-subnet and pt2's --skip leave parts "
            "out (docs/deploying.md)",
            file=sys.stderr,
        )


def _subnet(
    model: DynamicNetwork, options: ExportOptions, preprocessing: Preprocessing
) -> DynamicNetwork:
    dataset = load_dataset(options.calibrate or "", skip_corrupt=options.skip_corrupt)
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
    split: Split | None, options: ExportOptions, preprocessing: Preprocessing
) -> Iterator[Tensor]:
    """Some images of a split, normalised; the same ones each time."""
    if split is None:
        raise ValueError(f"data set {options.calibrate!r} has no images")
    loader = Loader(
        split,
        batch_size=BATCH,
        preprocessing=preprocessing,
        shuffle=True,  # a folder of images by class is sorted
        device="cpu",
    )
    left = options.calibration_images
    for batch in loader.epoch(0):
        yield preprocessing.normalize(batch.images[:left])
        left -= len(batch.images[:left])
        if not left:
            return
