"""Evaluation on hard paths."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from dyncore.calibration import Batches, images_and_labels
from dyncore.cascade import Cascade
from dyncore.cost import CostTable, cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output
from dyncore.training._about import About
from dyncore.training._evaluation import Evaluation
from dyncore.training._random import paths_of_test

TOP = 5
"""Of how many likely classes the label is one in ``Evaluation.top5_accuracy``."""


@torch.no_grad()
def evaluate(
    model: DynamicNetwork | Cascade,
    batches: Batches,
    preprocessing: Preprocessing | None = None,
    table: CostTable | None = None,
    accelerator: Accelerator | None = None,
    *,
    rates: tuple[float, ...] = (),
    classes: Sequence[int] | None = None,
    about: About | None = None,
) -> Evaluation:
    """Run ``model`` on every batch with hard decisions and gather all processes' rows.

    ``batches`` yields (images, labels), as the model takes them, or :class:`dyncore.data.Batch`,
    whose images in [0, 1] are normalised here by ``preprocessing`` (None: the model's own).
    ``table`` and ``accelerator`` are made where they are None. With ``rates``, one per path, a
    network takes random paths in place of its own. ``classes`` are the numbers that its classes
    have in the data; None: the same. ``about`` goes into the result. The model is put into
    evaluation mode and left there. Raises ValueError for batches that are not images and labels,
    and for no images.
    """
    model.eval()
    accelerator = accelerator or Accelerator()
    batches = in_rows(batches, model, preprocessing, accelerator)
    columns: dict[str, list[Tensor]] = {}
    off = None if accelerator.is_main_process else True  # None: a bar on a terminal only
    for batch in tqdm(batches, desc="evaluating", unit="batch", delay=2, leave=False, disable=off):
        images = batch.images
        if table is None:
            table = cost_table(model, (images.shape[1], images.shape[2], images.shape[3]))
        with accelerator.autocast():
            output = _at_random(model, images, batch, rates) if rates else model(images)
        for name, value in _rows(batch, output, table).items():
            columns.setdefault(name, []).append(value)
    if table is None:
        raise ValueError("there are no images to evaluate: the batches are empty")
    if classes is not None and columns:
        numbers = torch.tensor(classes, device=accelerator.device)
        columns["prediction"] = [numbers[predicted] for predicted in columns["prediction"]]
    gathered = {}
    for name, values in columns.items():
        column = torch.cat(values)
        column = accelerator.pad_across_processes(column, pad_index=-1)
        gathered[name] = accelerator.gather(column).cpu().numpy()
    rows = np.flatnonzero(gathered["index"] >= 0)
    rows = rows[np.argsort(gathered["index"][rows], kind="stable")]
    blocks = [index for index, block in enumerate(table.blocks) for _ in block.paths]
    gated = [block.gated for block in table.blocks for _ in block.paths]
    channels, in_top5 = gathered.get("channels"), gathered.get("in_top5")
    parallel_macs = gathered.get("parallel_macs")
    channel_blocks = [
        index
        for index, decision in enumerate(output.path)
        if decision.channels is not None
        for _ in range(decision.channels.on.shape[1])
    ]
    return Evaluation(
        label=gathered["label"][rows],
        prediction=gathered["prediction"][rows],
        macs=gathered["macs"][rows],
        path=gathered["path"][rows].astype(bool),
        channels=None if channels is None else channels[rows].astype(bool),
        parallel_macs=None if parallel_macs is None else parallel_macs[rows],
        in_top5=None if in_top5 is None else in_top5[rows].astype(bool),
        blocks=np.array(blocks),
        gated=np.array(gated),
        static_macs=table.static,
        channel_blocks=None if channels is None else np.array(channel_blocks),
        about=about or About(),
    )


def in_rows(
    batches: Batches,
    model: DynamicNetwork | Cascade,
    preprocessing: Preprocessing | None,
    accelerator: Accelerator,
) -> Iterator[Batch]:
    """Batches with images as the model takes them; rows without numbers are counted.

    The processes count in turns, as they read.
    """
    weight, seen = next(model.parameters(), None), 0
    device = accelerator.device if weight is None else weight.device
    preprocessing = preprocessing or model.info.preprocessing
    for batch in batches:
        images, labels = images_and_labels(batch)
        if isinstance(batch, Batch):
            if preprocessing is not None:
                images = preprocessing.normalize(images)
            yield Batch(images, labels, batch.index)
            continue
        rows = torch.arange(seen, seen + len(labels), device=device)
        index = rows * accelerator.num_processes + accelerator.process_index
        yield Batch(images.to(device), labels.to(device), index)
        seen += len(labels)


def _at_random(
    model: DynamicNetwork | Cascade, images: Tensor, batch: Batch, rates: tuple[float, ...]
) -> Output:
    if isinstance(model, Cascade):
        raise ValueError("a cascade has no paths to be drawn: leave rates out")
    on = paths_of_test(model, rates, batch.index)
    return model(images, path=ExecutionPath.of(on, model.paths_per_block, dtype=images.dtype))


def _rows(batch: Batch, output: Output, table: CostTable) -> dict[str, Tensor]:
    rows = {
        "index": batch.index,
        "label": batch.labels,
        "prediction": output.logits.argmax(1),
        "macs": table.macs(output.path) if output.macs is None else output.macs,
        "path": output.path.on.to(torch.int8),
    }
    if (channels := output.path.channel_on) is not None:
        rows["channels"] = channels.to(torch.int8)
        if output.macs is None:
            rows["parallel_macs"] = table.macs(output.path, accounting="parallel")
    if output.logits.shape[1] > TOP:
        likeliest = output.logits.topk(TOP, dim=1).indices
        rows["in_top5"] = (likeliest == batch.labels[:, None]).any(1).to(torch.int8)
    return rows


@torch.no_grad()
def relaxation_gap(
    model: DynamicNetwork, batch: Batch, preprocessing: Preprocessing
) -> dict[str, float]:
    """How far relaxed decisions are from the hard ones on one batch, without noise.

    ``relaxed_gap``: mean of |weight - on| over images and paths of the relaxed forward pass.
    ``relaxed_accuracy_gain``: accuracy with relaxed minus accuracy with hard decisions.
    """
    images = preprocessing.normalize(batch.images)
    relaxed, hard = model(images, relaxed=True), model(images, relaxed=False)
    gap = (relaxed.path.weight - relaxed.path.on.to(relaxed.path.weight.dtype)).abs().mean()
    right = [(output.logits.argmax(1) == batch.labels).float().mean() for output in (relaxed, hard)]
    return {
        "relaxed_gap": float(gap),
        "relaxed_accuracy_gain": float(right[0] - right[1]),
    }
