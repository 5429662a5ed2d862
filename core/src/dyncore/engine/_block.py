"""One block: every image through what it chose, in place where shapes allow."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dyncore.blocks import Path
from dyncore.engine._channels import ChannelPath, ChosenChannels
from dyncore.engine._convolution import build_convolution
from dyncore.engine._network import PlannedNetwork, Runnable
from dyncore.engine._path import Paths, add_all_
from dyncore.engine._plan import BlockPlan, Plan
from dyncore.engine._rows import Chunking, put_, take
from dyncore.gating import Decision


class PlannedBlock(Runnable):
    """Runs a block on channels-last tensors that it owns."""

    def __init__(
        self,
        plan: BlockPlan,
        chunking: Chunking,
        *,
        portable: bool,
        add: Callable[..., None] = add_all_,
    ) -> None:
        """``add`` runs the paths that some images chose, as :func:`add_all_` does."""
        self.plan = plan
        self.chunking = chunking
        self.add = add
        self.paths = Paths(plan.paths, portable=portable)
        self.shortcut = (
            build_convolution(plan.shortcut, "none", portable=portable)
            if isinstance(plan.shortcut, nn.Conv2d)
            else plan.shortcut
        )
        first = plan.paths[0]
        self.channels = (
            ChannelPath(first, portable=portable)
            if plan.channels and not isinstance(first, Path)
            else None
        )
        self.relu = plan.activation == "relu"
        self.all = (1 << len(plan.paths)) - 1

    def chunked(self, chunking: Chunking) -> "PlannedBlock":
        """The same block, the same weights, with images in other portions."""
        other = copy.copy(self)
        other.chunking = chunking
        return other

    def run(
        self,
        x: Tensor,
        decision: Decision | None,
        *,
        scales: bool = False,
        pooled: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`Runnable.run`."""
        images = len(x)
        subsets = [self.all] * images if decision is None else _subsets(decision.on)
        total = x if self.plan.keeps_input else self._total(x)
        by_subset: dict[int, list[int]] = {}
        for image, subset in enumerate(subsets):
            by_subset.setdefault(subset, []).append(image)
        skipped = by_subset.pop(0, [])
        chosen = None
        if self.channels is not None and decision is not None and decision.channels is not None:
            chosen = ChosenChannels(self.channels, decision)
        for subset, rows in by_subset.items():
            if chosen is not None:
                for image in rows:
                    row = slice(image, image + 1)
                    chosen.add_(total[row], x[row], image, relu=self.relu)
                    _pool(total, row, pooled)
            elif scales:
                for image in rows:
                    self._scaled(total, x, decision, image, pooled)
            else:
                self._chosen(total, x, subset, rows, pooled)
        if skipped and not (self.plan.keeps_input and self.plan.settled):
            for chunk in Chunking(images, gather=False).chunks(skipped):
                if self.relu:
                    total[chunk].relu_()
                if pooled is not None:
                    pooled[chunk] = total[chunk].mean((2, 3))
        return total

    def _total(self, x: Tensor) -> Tensor:
        """The shortcut of every image, without activation."""
        if self.shortcut is not None:
            return self.shortcut(x).contiguous(memory_format=torch.channels_last)
        total = x.new_zeros(len(x), *self.plan.out_size)
        return total.contiguous(memory_format=torch.channels_last)

    def _chosen(
        self,
        total: Tensor,
        x: Tensor,
        subset: int,
        rows: list[int],
        pooled: Tensor | None,
    ) -> None:
        paths = self.paths.chosen(subset)
        for chunk in self.chunking.chunks(rows):
            if isinstance(chunk, slice):
                self.add(paths, total[chunk], x[chunk], relu=self.relu)
                _pool(total, chunk, pooled)
                continue
            chunk = chunk.to(x.device)
            some = take(x, chunk)
            sums = some if total is x else take(total, chunk)
            self.add(paths, sums, some, relu=self.relu)
            put_(total, chunk, sums)
            if pooled is not None:
                pooled[chunk] = sums.mean((2, 3))

    def _scaled(
        self,
        total: Tensor,
        x: Tensor,
        decision: Decision | None,
        image: int,
        pooled: Tensor | None,
    ) -> None:
        """One image whose weights are not just 0 and 1, path by path as modules."""
        assert decision is not None, "what always runs is not scaled"
        row = slice(image, image + 1)
        weights = decision.weight[image].tolist()
        if decision.channels is not None:
            on, salience = decision.channels.on[image], decision.channels.weight[image].to(x.dtype)
            path = self.plan.paths[0]
            assert isinstance(path, Path), "only foldable paths pick channels"
            total[row].add_(path.run_channels(x[row], on, salience), alpha=weights[0])
        else:
            given = x[row].clone() if total is x else x[row]
            for n, chosen in enumerate(decision.on[image].tolist()):
                for part in self.paths.chosen(1 << n) if chosen else ():
                    total[row].add_(part(given), alpha=weights[n])
        if self.relu:
            total[row].relu_()
        _pool(total, row, pooled)


def _pool(x: Tensor, rows: slice, pooled: Tensor | None) -> None:
    if pooled is not None:
        torch.mean(x[rows], (2, 3), out=pooled[rows])


def _subsets(on: Tensor) -> list[int]:
    """The paths that are on as the bits of a number, per image."""
    if on.shape[1] == 1:
        return on[:, 0].tolist()
    bits = 2 ** torch.arange(on.shape[1], device=on.device)
    return (on * bits).sum(1).tolist()


def planned_network(plan: Plan, blocks: Sequence[PlannedBlock]) -> PlannedNetwork:
    """Blocks of ``plan`` on channels-last tensors, whose stem takes portions like the first one."""

    def stem(images: Tensor) -> Tensor:
        """A tensor that is not the caller's."""
        parts = [
            plan.stem(part.contiguous(memory_format=torch.channels_last))
            for part in images.split(blocks[0].chunking.limit)
        ]
        x = torch.cat(parts) if len(parts) > 1 else parts[0]
        return x.contiguous(memory_format=torch.channels_last)

    return PlannedNetwork(plan, blocks, stem, torch.clone)
