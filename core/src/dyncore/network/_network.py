"""The dynamic network: stem → (pool → router → gate → block)* → head."""

import copy
import os
from bisect import bisect_right
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dyncore.backbones import Route
from dyncore.gating import ExecutionPath
from dyncore.hub import Pushed, find_folder
from dyncore.network._config import DynamicConfig
from dyncore.network._dial import Dial, DialSetting
from dyncore.network._exploring import Exploring
from dyncore.network._folder import save_folder
from dyncore.network._forced import check_forced
from dyncore.network._freezing import freeze
from dyncore.network._info import ModelInfo, describe
from dyncore.network._nested import load_once, save_once, share, subnet_logits
from dyncore.network._output import FeatureMaps, Output
from dyncore.network._pretrained import check_loadable, load_pretrained
from dyncore.network._shown import shown
from dyncore.network._site import Site
from dyncore.network._walk import Execute, Walk, run_masked
from dyncore.network._wrappers import unwrapped


class DynamicNetwork(Pushed, nn.Module):
    """A backbone with a router and a gate before each gated block."""

    pool: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """Gives a map and its mean, in place of the mean alone; ``dyncore.kernels`` puts it here for
    training. A function of a module, so that copies and pickles have it, too."""

    detached = False
    """Whether routers teach only themselves: what they look at gets no gradient from them."""

    exploring: Exploring | None = None
    """What a forward pass in training draws where it is told neither path nor noise; None: nothing.
    ``dyncore.objective`` puts it here, for loops of people's own."""

    def __init__(self, config: DynamicConfig, info: ModelInfo | None = None) -> None:
        super().__init__()
        self.config = config
        self.info = info or ModelInfo()
        self.backbone = config.backbone.build(
            config.num_classes, granularity=config.granularity, combine=config.combine
        )
        self.nested = nn.ModuleList()
        """Networks that share this one's convolutions; see :meth:`at`."""
        for subnet in config.nested:
            small = DynamicNetwork(config.of(subnet))
            share(small.backbone, self.backbone, subnet)
            self.nested.append(small)
        if config.nested:
            self.register_state_dict_post_hook(save_once)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_pre_hook(load_once)  # type: ignore[no-untyped-call]
        self.routers = nn.ModuleDict()
        """By the block's index; blocks that are not gated have none."""
        self.gates = nn.ModuleDict()
        if config.router is not None and config.gate is not None:
            for index, block in enumerate(self.backbone.blocks):
                if not block.gated:
                    continue
                in_channels = block.paths[0].in_channels
                router = config.router.build(in_channels, len(self.routers))
                self.routers[str(index)] = router
                self.gates[str(index)] = config.gate.build(
                    router.out_features,
                    paths=len(block.paths),
                    channels=block.gated_channels if config.granularity.channels else 0,
                    keep_one=block.downsample is None,
                )
        if config.frozen:
            freeze(self.sites, config.frozen, self.routers, self.gates)
        if self.info.dial is not None:
            self.info.dial.check(sum(self.paths_per_block))
        if self.setting is not None:
            self.move_thresholds(self.setting.threshold)

    @property
    def subnets(self) -> tuple["DynamicNetwork", ...]:
        """The smaller networks inside of this one, without this one; see :meth:`at`."""
        return tuple(self.nested)  # type: ignore[arg-type]

    def at(self, index: int) -> "DynamicNetwork":
        """A network inside of this one, the smallest first; the last is this one itself.

        It shares convolutions with the others (an early exit all but its last layer): what trains
        it trains them. It runs, costs, plans and saves as any static network does. Raises
        ValueError for a number that none of them has.
        """
        networks = (*self.subnets, self)
        if not 0 <= index < len(networks):
            raise ValueError(
                f"there is no network {index} in this one: they are numbered 0 to "
                f"{len(networks) - 1}, the whole network"
            )
        found = networks[index]
        if found is not self:
            name = None if self.info.model is None else f"{self.info.model} at {index}"
            found.info = replace(self.info, model=name, metrics={}, dial=None)
        return found

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every block with its router and gate, in the order in which an image meets them."""
        sites, first = [], 0
        for index, block in enumerate(self.backbone.blocks):
            router = gate = None
            if (key := str(index)) in self.gates:
                router, gate = self.routers[key], self.gates[key]
            columns = slice(first, first := first + len(block.paths))
            sites.append(Site(index, block, router, gate, columns))  # type: ignore[arg-type]
        return tuple(sites)

    @property
    def paths_per_block(self) -> tuple[int, ...]:
        return tuple(len(block.paths) for block in self.backbone.blocks)

    @property
    def channels_per_block(self) -> tuple[int, ...]:
        """Gated channels of each block; 0 where channels are not gated."""
        return tuple(site.channels for site in self.sites)

    def forward(
        self,
        images: Float[Tensor, "batch channel height width"],
        *,
        path: ExecutionPath | None = None,
        noise: Float[Tensor, "batch total logit"] | None = None,
        relaxed: bool | None = None,
    ) -> Output:
        """Masked form: every path runs and is weighted by its decision.

        ``images`` are normalised. ``path`` forces the decisions, and then no router runs.
        ``noise`` is what :meth:`draw_noise` draws; None means none, unless it is ``exploring`` in
        training mode. ``relaxed`` chooses relaxed or hard decisions; by default relaxed in training
        mode. There, the networks inside of this one run, too.
        """
        if self.training and self.exploring is not None and path is None and noise is None:
            path, noise = self._explore(images, self.exploring)
        relaxed = self.training if relaxed is None else relaxed
        nested = self.training and bool(self.config.nested)
        keep = range(len(self.backbone.blocks)) if nested else self._last
        walk = self._walk(images, run_masked, keep, path=path, noise=noise, relaxed=relaxed)
        output = self._output(walk, images)
        if nested:
            return output._replace(nested=subnet_logits(self, images, walk.kept))
        return output

    def resume(self, features: Float[Tensor, "batch channel height width"], first: int) -> Output:
        """The rest of a static network: blocks from the number ``first`` on, and head.

        ``features`` are what the block before gives, e.g. ``Output.features`` of an early exit
        behind it. Raises ValueError for a network with gates, and for a number of no block.
        """
        if self.config.gate is not None:
            raise ValueError("a network with gates does not go on from features: its routers do")
        if not 0 <= first < len(self.backbone.blocks):
            raise ValueError(
                f"there is no block {first}: they are numbered 0 to {len(self.backbone.blocks) - 1}"
            )
        x = features
        for block in self.backbone.blocks[first:]:
            x = block(x)
        path = ExecutionPath.always_on(x, self.paths_per_block)
        nothing = [None] * len(path)
        return Output(self.backbone.head(x), path, nothing, nothing, features=x)

    if TYPE_CHECKING:  # torch says that calls return anything: editors should know better

        def __call__(
            self,
            images: Tensor,
            *,
            path: ExecutionPath | None = None,
            noise: Tensor | None = None,
            relaxed: bool | None = None,
        ) -> Output: ...

    def __repr__(self) -> str:
        return shown(self, self.config, self.info, len(self.gates))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """See ``nn.Module``. For a static network's weights it says what to call instead."""
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            own = self.backbone.state_dict().keys()
            shared = own & {name.removeprefix("module.") for name in state_dict}
            if not shared:
                raise
            raise RuntimeError(
                "these are weights of a static network: call dyncore.load_static(model, weights)"
            ) from error

    def draw_noise(
        self, batch: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch total logit"] | None:
        """Gate noise for ``batch`` images, on the model's device; None where gates use none."""
        if self.config.gate is None:
            return None
        device = next(self.parameters()).device
        shape = (batch, sum(self.paths_per_block), 2)
        return self.config.gate.draw_noise(shape, generator, device)

    def draw_paths(
        self,
        batch: int,
        generator: torch.Generator | None = None,
        rates: Sequence[float] = (),
    ) -> Bool[Tensor, "batch total"]:
        """Random paths for so many images: on with probability 1/2 (RDI-Net Eq. 14), or ``rates``.

        They are drawn on the generator's device, or on the model's. A block whose paths are all off
        but which has no shortcut keeps its first path on.
        """
        device = next(self.parameters()).device if generator is None else generator.device
        shape = (batch, sum(self.paths_per_block))
        limit = torch.tensor(rates or (0.5,), device=device)
        on = torch.rand(shape, generator=generator, device=device) < limit
        for site in self.sites:
            if site.block.downsample is None:
                on[:, site.columns.start] |= ~on[:, site.columns].any(1)
        return on

    def _explore(
        self, images: Tensor, exploring: Exploring
    ) -> tuple[ExecutionPath | None, Tensor | None]:
        if not exploring.paths:
            noise = self.draw_noise(len(images))
            return None, None if noise is None else exploring.noise * noise
        on = self.draw_paths(len(images), rates=exploring.rates)
        return ExecutionPath.of(on, self.paths_per_block, dtype=images.dtype), None

    def anneal(self, factor: float) -> None:
        """Multiply the temperature of every gate that has one by ``factor``, e.g. in training."""
        for gate in self.gates.values():
            gate.anneal(factor)  # type: ignore[operator]

    @property
    def dial(self) -> Dial | None:
        """What moving its gates' thresholds costs (``dyncore.calibrate``); None: not known."""
        return self.info.dial

    @property
    def setting(self) -> DialSetting | None:
        """Where the dial stands; None: as trained."""
        return None if self.info.dial is None else self.info.dial.setting

    def set_budget(self, budget: float | None) -> None:
        """Turn the dial: images then cost ``budget`` times the static network's MACs, on average.

        It moves the thresholds of all gates, goes by the images of ``dyncore.calibrate``, and is
        saved with the model. None: as trained. Raises ValueError before calibration, and for less
        than the network costs with nothing on.
        """
        if self.info.dial is None:
            if budget is None:
                return
            raise ValueError(
                "set_budget needs to know what thresholds cost: call dyncore.calibrate(model, "
                "batches) first, or dyn calibrate MODEL --data DATA"
            )
        self._turn(None if budget is None else self.info.dial.at(budget))

    def at_setting(self, setting: DialSetting | None) -> "DynamicNetwork":
        """The same network elsewhere on its dial: a copy that shares all weights and statistics."""
        shared = {id(tensor): tensor for tensor in self.state_dict(keep_vars=True).values()}
        other = copy.deepcopy(self, shared)
        other._turn(setting)
        return other

    def _turn(self, setting: DialSetting | None) -> None:
        assert self.info.dial is not None
        self.move_thresholds(0.0 if setting is None else setting.threshold)
        self.info = replace(self.info, dial=replace(self.info.dial, setting=setting))

    def move_thresholds(self, threshold: float) -> None:
        """Let be on what scores above ``threshold``, in every gate; 0: as trained."""
        for gate in self.gates.values():
            gate.move(threshold)  # type: ignore[operator]

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``config.json`` and ``model.safetensors``, for :meth:`from_pretrained`.

        Raises ValueError, and writes nothing, for a network that is not what its ``config``
        describes, e.g. since a layer was replaced: it could not be loaded.
        """
        weights = unwrapped(self.state_dict())
        check_loadable(self, DynamicNetwork, self.config, self.info, weights)
        save_folder(folder, describe(self.config, self.info), weights)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        num_classes: int | None = None,
        in_chans: int | None = None,
        revision: str | None = None,
        subfolder: str | None = None,
        local_files_only: bool = False,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "DynamicNetwork":
        """A saved model, in evaluation mode, from a folder or from the Hub (``org/name``).

        It has the floating-point type that it was saved with, or ``dtype``, and lies on the CPU,
        or on ``device``. ``revision`` is a branch, tag or commit of the Hub; a commit pins the
        content. ``subfolder`` is where in the repository or folder the model lies.
        ``local_files_only`` takes what the cache has; ``cache_dir`` is another cache, ``token``
        another token than the Hub's client has.

        ``num_classes`` other than the saved one replaces the last linear layer by a fresh one,
        ``in_chans`` the first convolution by one for images of so many channels whose weights are
        made of the saved ones, as timm does; both log that they did. Nothing is allocated before
        the names, shapes and types in the weights' header are those of the network that
        config.json describes.

        Raises FileNotFoundError when there is no such folder or model, :class:`dyncore.HubError`
        when the Hub refuses or fails, and :class:`dyncore.ModelFileError` for files that do not
        make a model: which file, which tensor, or which package to install.
        """
        folder = find_folder(
            source,
            revision,
            subfolder=subfolder,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
            token=token,
        )
        model = load_pretrained(cls, folder, num_classes=num_classes, in_chans=in_chans)
        model.to(device=device, dtype=dtype)
        if model.setting is not None:  # again, in the type that it has now
            model.move_thresholds(model.setting.threshold)
        return model

    def check_path(self, images: int, path: ExecutionPath | None) -> None:
        """Raises ValueError for a forced path that does not fit the network or the images."""
        if path is not None:
            check_forced(path, self.sites, images)

    def walk(
        self,
        images: Float[Tensor, "batch channel height width"],
        execute: Execute,
        *,
        path: ExecutionPath | None = None,
        noise: Float[Tensor, "batch total logit"] | None = None,
        relaxed: bool = False,
    ) -> Output:
        """The backbone, with each block run by ``execute``.

        It is given the site, its input and its decision, None where nothing is decided, and
        returns the block's output. The other arguments are those of :meth:`forward`.
        """
        walk = self._walk(images, execute, self._last, path=path, noise=noise, relaxed=relaxed)
        return self._output(walk, images)

    def feature_maps(
        self,
        images: Float[Tensor, "batch channel height width"],
        stages: Sequence[int] | None = None,
        *,
        routed: bool = True,
        path: ExecutionPath | None = None,
        noise: Float[Tensor, "batch total logit"] | None = None,
        relaxed: bool | None = None,
    ) -> FeatureMaps:
        """What the last block of each stage gives, for a detector or a segmenter.

        ``stages`` are numbers, from 0 or, negative, from the end (None: all), in the order that is
        wanted; what comes after the last of them does not run. ``routed``: images run what they
        choose, masked as in :meth:`forward`, whose other arguments these are; without, every path
        is on. Raises ValueError for a stage that there is not.
        """
        count = self.backbone.stages[-1] + 1
        wanted = range(count) if stages is None else stages
        if not wanted or not all(-count <= stage < count for stage in wanted):
            raise ValueError(f"stages must be some of 0 to {count - 1}, not {list(wanted)}")
        ends = [bisect_right(self.backbone.stages, stage % count) - 1 for stage in wanted]
        if not routed:
            path = ExecutionPath.always_on(images, self.paths_per_block)
        relaxed = self.training if relaxed is None else relaxed
        walk = self._walk(images, run_masked, {*ends}, path=path, noise=noise, relaxed=relaxed)
        x = self.backbone.stem(images)
        self.backbone.trunk(x, route=Route(walk.run), stages=self.backbone.stages[max(ends)] + 1)
        maps = tuple(walk.kept[end] for end in ends)
        return FeatureMaps(maps, walk.path)  # type: ignore[arg-type]

    def _walk(
        self,
        images: Tensor,
        execute: Execute,
        keep: Container[int],
        *,
        path: ExecutionPath | None,
        noise: Tensor | None,
        relaxed: bool,
    ) -> Walk:
        self._check(images, path, noise)
        return Walk(
            self.sites,
            execute,
            keep,
            pool=self.pool,
            detached=self.detached,
            path=path,
            noise=noise,
            relaxed=relaxed,
        )

    @property
    def _last(self) -> tuple[int]:
        """The block whose output the head reads."""
        return (len(self.backbone.blocks) - 1,)

    def _output(self, walk: Walk, images: Tensor) -> Output:
        """All the way, from the images to the logits."""
        logits = self.backbone(images, route=Route(walk.run))
        (last,) = self._last
        return Output(
            logits=logits,
            path=walk.path,  # type: ignore[arg-type]
            router_features=walk.features,
            pooled=walk.pooled,
            images=images,
            features=walk.kept[last],
            noise=walk.noise,
        )

    def _check(self, images: Tensor, path: ExecutionPath | None, noise: Tensor | None) -> None:
        if noise is not None:
            shape = (len(images), sum(self.paths_per_block), 2)
            if noise.shape != shape:
                raise ValueError(f"noise has shape {tuple(noise.shape)}, but {shape} is needed")
        if path is not None:  # a length that is asked for is no longer free when this is exported
            self.check_path(len(images), path)


from_pretrained = DynamicNetwork.from_pretrained
"""The same as a function."""
