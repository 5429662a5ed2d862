"""The dynamic network: stem → (pool → router → gate → block)* → head."""

import os
from collections.abc import Callable
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks import GatedBlock, pool
from dyncore.gating import Decision, ExecutionPath, RouterState
from dyncore.hub import push_folder, save_folder
from dyncore.network._config import DynamicConfig
from dyncore.network._info import ModelInfo, describe
from dyncore.network._output import Output


class DynamicNetwork(nn.Module):
    """A backbone with a router and a gate before each gated block."""

    def __init__(self, config: DynamicConfig, info: ModelInfo | None = None) -> None:
        super().__init__()
        self.config = config
        self.info = info or ModelInfo()
        self.backbone = config.backbone.build(
            config.num_classes, granularity=config.granularity, combine=config.combine
        )
        self.routers = nn.ModuleDict()
        """By the block's index; blocks that are not gated have none."""
        self.gates = nn.ModuleDict()
        if config.router is not None and config.gate is not None:
            for index, block in enumerate(self.backbone.blocks):
                if not block.gated:
                    continue
                in_channels = block.paths[0].layers[0].conv.in_channels
                router = config.router.build(in_channels, len(self.routers))
                self.routers[str(index)] = router
                self.gates[str(index)] = config.gate.build(
                    router.out_features,
                    paths=len(block.paths),
                    channels=block.gated_channels if config.granularity.channels else 0,
                    keep_one=block.downsample is None,
                )

    @property
    def paths_per_block(self) -> tuple[int, ...]:
        return tuple(len(block.paths) for block in self.backbone.blocks)

    @property
    def channels_per_block(self) -> tuple[int, ...]:
        """Gated channels of each block; 0 where channels are not gated."""
        gated = self.config.granularity.channels
        return tuple(
            block.gated_channels if gated and str(index) in self.gates else 0
            for index, block in enumerate(self.backbone.blocks)
        )

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        *,
        path: ExecutionPath | None = None,
        noise: Float[Tensor, "batch total logit"] | None = None,
        relaxed: bool | None = None,
    ) -> Output:
        """Masked form: every path runs and is weighted by its decision.

        ``images`` are normalised. ``path`` forces the decisions, and then no router runs.
        ``noise`` is what :meth:`draw_noise` draws; None means none. ``relaxed`` chooses relaxed
        or hard decisions; by default relaxed in training mode.
        """
        return self._forward(images, path, noise, relaxed, GatedBlock.__call__)

    def draw_noise(
        self, batch: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch total logit"] | None:
        """Gate noise for ``batch`` images, on the model's device; None where gates use none."""
        if self.config.gate is None:
            return None
        device = next(self.parameters()).device
        shape = (batch, sum(self.paths_per_block), 2)
        return self.config.gate.draw_noise(shape, generator, device)

    def anneal(self, factor: float) -> None:
        """Multiply the temperature of every gate that has one by ``factor``, e.g. in training."""
        for gate in self.gates.values():
            gate.anneal(factor)  # type: ignore[operator]

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``config.json`` and ``model.safetensors``, for ``dyncore.from_pretrained``."""
        save_folder(folder, describe(self.config, self.info), self.state_dict())

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool = False,
        revision: str | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Push the model to ``org/name`` on the Hub in one commit; returns its address.

        The repository holds what :meth:`save_pretrained` writes, a model card with the evaluation
        results, ``evaluation.json``, and ``recipe.json`` if ``info`` has the recipe. It is made,
        ``private`` or not, if there is none; so is the branch ``revision``. Raises ValueError for
        a name that is none and :class:`dyncore.HubError` when the Hub refuses or fails.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(
                folder,
                name,
                private=private,
                revision=revision,
                commit_message=commit_message,
            )

    def check_path(self, images: int, path: ExecutionPath | None) -> None:
        """Raises ValueError for a forced path that does not fit the network or the images."""
        if path is None:
            return
        if path.paths_per_block != self.paths_per_block:
            raise ValueError(
                f"path has {path.paths_per_block} paths per block, but the network has "
                f"{self.paths_per_block}"
            )
        for decision, channels in zip(path, self.channels_per_block, strict=True):
            if len(decision.on) != images:
                raise ValueError(
                    f"path decides for {len(decision.on)} images, but there are {images}"
                )
            if decision.channel_on is not None and decision.channel_on.shape[1] != channels:
                raise ValueError(
                    f"path has {decision.channel_on.shape[1]} gated channels in a block, but the "
                    f"network has {channels}"
                )

    def _forward(
        self,
        images: Tensor,
        path: ExecutionPath | None,
        noise: Tensor | None,
        relaxed: bool | None,
        execute: Callable[[GatedBlock, Tensor, Decision | None], Tensor],
    ) -> Output:
        relaxed = self.training if relaxed is None else relaxed
        shape = (len(images), sum(self.paths_per_block), 2)
        if noise is not None and noise.shape != shape:
            raise ValueError(f"noise has shape {tuple(noise.shape)}, but {shape} is needed")
        self.check_path(len(images), path)
        x = self.backbone.stem(images)
        state: RouterState = ()
        decisions, features, pools, first = [], [], [], 0
        for index, block in enumerate(self.backbone.blocks):
            pooled = feature = None
            key, end = str(index), first + len(block.paths)
            if key not in self.gates:
                decision = None
            elif path is not None:
                decision = path[index]
            else:
                x, pooled = pool(x)
                feature, state = self.routers[key](pooled, state)
                block_noise = None if noise is None else noise[:, first:end]
                decision = self.gates[key](feature, block_noise, relaxed=relaxed)
            x = execute(block, x, decision)
            decisions.append(decision or Decision.always_on(x, len(block.paths)))
            features.append(feature)
            pools.append(pooled)
            first = end
        return Output(
            logits=self.backbone.head(x),
            path=ExecutionPath(tuple(decisions)),
            router_features=features,
            pooled=pools,
            images=images,
            features=x,
            noise=noise,
        )


@torch.no_grad()
def run_skipped(
    model: DynamicNetwork,
    images: Float[Tensor, "batch 3 height width"],
    *,
    path: ExecutionPath | None = None,
) -> Output:
    """The same answer as ``model(images)`` in evaluation, computing only what each image chose.

    The plain form: a path runs as a module on the images that chose it, gated channels image by
    image. ``images`` are normalised; ``path`` forces the decisions. Raises ValueError for a model
    in training mode, where batch norm would see other batches than in the masked form.
    """
    if model.training:
        raise ValueError("run_skipped needs a model in evaluation: call model.eval() first")
    return model._forward(images, path, None, False, GatedBlock.run_skipped)
