"""A model that tells of one image what it answers, what ran, and what that took."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.utils.benchmark import Timer

from dyncore.cascade import Cascade
from dyncore.cost import cost_table
from dyncore.engine import Engine
from dyncore.network import DynamicNetwork, Output, transforms

BLOCK = "block "
"""What a network's blocks are called, before their number; a cascade's are its members."""
SECONDS = 0.1
"""For which an image is answered again and again, to time it."""


@dataclass(frozen=True)
class RanBlock:
    """What became of one block for one image; of a cascade, of one member."""

    name: str
    paths: tuple[bool, ...]
    """Whether each of its paths ran."""
    decided: bool
    """Whether anything depends on the image."""
    channels: float | None = None
    """Share of its gated channels that ran; None: none is gated."""


@dataclass(frozen=True)
class Cost:
    """Of one image, here."""

    macs: int
    """Routers included (1 MAC = 2 FLOPs)."""
    milliseconds: float
    """In the engine, at batch 1: the median of a tenth of a second."""


@dataclass(frozen=True)
class Answer:
    """What the page shows."""

    probabilities: dict[str, float]
    """Of every class."""
    blocks: tuple[RanBlock, ...]
    own: Cost
    static: Cost
    """Of the static network: the backbone without routers, or a cascade's last member alone."""
    beside: str = "static network"
    """What that is called."""


class Demonstration:
    """A model in the engine beside the static network that it is compared with."""

    def __init__(self, model: DynamicNetwork | Cascade) -> None:
        """Build both engines. Raises ValueError for a model that does not know its images' size."""
        self._prepare = transforms(model)
        preprocessing = model.info.preprocessing
        assert preprocessing is not None
        shape = (len(preprocessing.mean), preprocessing.size, preprocessing.size)
        self._model = model.float()
        self.beside = "last member alone" if isinstance(model, Cascade) else "static network"
        """What its costs are compared with."""
        self._table = cost_table(self._model, shape)
        self._engine = _engine(self._model, torch.zeros(1, *shape))
        self._static = _static(self._model, torch.zeros(1, *shape))
        self._blocks = _names(self._model)

    @property
    def dial(self) -> tuple[float, float, float] | None:
        """Least, greatest and present budget; None: the model has no dial.

        Shares of the static network's mean cost, or of the last member's.
        """
        if isinstance(self._model, Cascade):
            found = self._model.calibration
            if found is None:
                return None
            whole, chosen = found.last_cost, (self._model.setting or found.chosen).cost
            costs = [setting.cost for setting in found.dial]
        else:
            dial = self._model.dial
            if dial is None:
                return None
            trained = min(dial.settings, key=lambda setting: abs(setting.threshold))
            whole, chosen = dial.static_cost, (dial.setting or trained).cost
            costs = [setting.cost for setting in dial.settings]
        return costs[0] / whole, costs[-1] / whole, chosen / whole

    @torch.no_grad()
    def ask(self, image: Image.Image, budget: float | None = None) -> Answer:
        """Answer one picture, with the dial at ``budget``, if there is one."""
        if budget is not None:
            self._engine.set_budget(budget)
        pixels = self._prepare(image)[None]
        output = self._engine(pixels)
        macs = self._table.macs(output.path) if output.macs is None else output.macs
        return Answer(
            self._probabilities(output),
            tuple(self._ran(output)),
            Cost(int(macs[0]), _milliseconds(self._engine, pixels)),
            Cost(self._table.static, _milliseconds(self._static, pixels)),
            self.beside,
        )

    def _probabilities(self, output: Output) -> dict[str, float]:
        shares = output.logits[0].softmax(0).tolist()  # of log-probabilities: themselves
        names = self._model.info.classes or tuple(map(str, range(len(shares))))
        return dict(zip(names, shares, strict=True))

    def _ran(self, output: Output) -> list[RanBlock]:
        return [
            RanBlock(
                name,
                tuple(bool(on) for on in decision.on[0]),
                cost.gated,
                None
                if decision.channels is None
                else float(decision.channels.on[0].float().mean()),
            )
            for name, cost, decision in zip(
                self._blocks, self._table.blocks, output.path, strict=True
            )
        ]


def _names(model: DynamicNetwork | Cascade) -> list[str]:
    if isinstance(model, Cascade):
        return [member.name for member in model.members]
    return [f"{BLOCK}{number}" for number in range(1, 1 + len(model.paths_per_block))]


def _static(model: DynamicNetwork | Cascade, images: Tensor) -> Callable[[Tensor], object]:
    """What runs the static network; its weights do not matter to the clock."""
    if not isinstance(model, Cascade):
        return _engine(DynamicNetwork(model.config.static).eval(), images)
    last = model.members[-1]
    if not isinstance(last.run, DynamicNetwork):
        return last
    engine = _engine(last.run, last.prepare(images))
    return lambda images: engine(last.prepare(images))


def _engine(model: DynamicNetwork | Cascade, images: Tensor) -> Engine:
    """All in one precision, so that times compare."""
    return Engine(model, images, precision="fp32")


def _milliseconds(run: Callable[[Tensor], object], image: Tensor) -> float:
    timer = Timer("run(x)", globals={"run": run, "x": image}, num_threads=torch.get_num_threads())
    return 1000 * float(timer.blocked_autorange(min_run_time=SECONDS).median)
