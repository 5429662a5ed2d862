"""The skipping runtime."""

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cascade import Cascade
from dyncore.cost import Profile
from dyncore.engine._cascade import CascadeRunner
from dyncore.engine._comparison import Comparison
from dyncore.engine._network import Backends, NetworkRunner
from dyncore.engine._precision import Precision
from dyncore.engine._runner import Runner
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output


class Engine:
    """A trained network, ready to run only what each image chooses.

    It answers as ``model(images)`` does in evaluation, up to rounding, and holds weights and a dial
    of its own: later changes of the model do not reach it. Several threads may call it at once.

    Of a :class:`dyncore.Cascade` it runs the members that are networks of dyncore, each with its
    normalisation, and asks the others as the cascade does. Thresholds, cap, temperatures and hooks
    stay the cascade's: what is set there holds for the next call.
    """

    def __init__(
        self,
        model: DynamicNetwork | Cascade,
        example_input: Float[Tensor, "batch channel height width"],
        *,
        threads: int | None = None,
        portable: bool = False,
        precision: Precision | None = None,
    ) -> None:
        """Plan, fold and pack ``model`` for images like ``example_input``.

        They are normalised, or, for a cascade, in [0, 1]. The batch size may differ from call to
        call; height, width, dtype and device may not. ``threads`` defaults to torch's setting.
        ``portable`` does without compiled code, which is otherwise used on a CPU where it works.

        ``precision``: "fp32" computes in the model's own float32; "bf16" rounds what convolutions
        of blocks multiply, weights and inputs, to bfloat16, and keeps routers, gates, sums and what
        is added to a shortcut in float32. By default it is bf16 where the processor has it, if that
        changes no decision and no class and moves logits no further than rounding should, on the
        images of ``example_input``, filled up to 32 with random ones like them. That finds what is
        frequent; :meth:`compare` counts over as many images as you have. :attr:`precision` tells
        what it became.

        Building takes about a second or two, and some more the first time on a machine, when code
        is compiled. Raises ValueError for an input the model cannot take, and for a precision that
        this model, on this machine, cannot run in; TypeError for a model that is none of dyncore's.
        """
        given: object = model
        if not isinstance(given, (DynamicNetwork, Cascade)):
            raise TypeError(
                f"an engine runs a network or a cascade of dyncore, not {type(given).__name__}. A "
                "ResNet or MobileNetV2 of torchvision becomes one: network = "
                "dyncore.create_model('static-resnet50'); "
                "network.backbone.load_state_dict(model.state_dict())"
            )
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        if precision not in (None, "bf16", "fp32"):
            raise ValueError(f"precision must be 'bf16' or 'fp32', or left out, not {precision!r}")
        self.threads = threads or torch.get_num_threads()
        self.portable = portable
        self._asked = precision
        backends = Backends(self.threads, portable=portable, precision=precision)
        self._runner: Runner = (
            CascadeRunner(model, example_input, backends)
            if isinstance(model, Cascade)
            else NetworkRunner(model, example_input, backends)
        )

    @property
    def precision(self) -> str:
        """What it computes in: "bf16", or the model's type, e.g. "fp32"."""
        return self._runner.precision

    def __call__(
        self,
        images: Float[Tensor, "batch channel height width"],
        *,
        path: ExecutionPath | None = None,
    ) -> Output:
        """The same as ``model(images, path=path)`` in evaluation.

        Raises ValueError for images of another size, dtype or device than the example's, and where
        the model itself does; a network's engine takes no empty batch, a cascade's no ``path``.
        """
        return self._runner(images, path)

    def set_budget(self, budget: float | None = None, *, ms: float | None = None) -> None:
        """Turn the dial of this engine's network: see :meth:`dyncore.DynamicNetwork.set_budget`.

        In place of a ``budget``, ``ms`` gives the mean milliseconds per image at batch 1: for some
        settings of the dial the network is timed here, on paths drawn at the rates of that setting,
        which takes some ten seconds. Without either it is as it was trained. It holds for calls
        that begin later. A cascade's dial is turned for the cascade, too.

        Raises ValueError for both, for a model that was not calibrated, for what is out of reach,
        and for a cascade's ``ms``, for which it has to be calibrated.
        """
        if budget is not None and ms is not None:
            raise ValueError("give one aim, budget or ms, not both")
        if ms is not None:
            self._runner.set_milliseconds(ms)
        else:
            self._runner.set_budget(budget)

    def compare(self, images: Float[Tensor, "batch channel height width"]) -> Comparison:
        """Count where this engine and the model it was built from differ, and by how much.

        Both are compared with the model in float64. Raises ValueError as a call does, and for a
        cascade, whose members are compared one by one.
        """
        return self._runner.compare(images)

    def profile(self, batch: int = 1) -> Profile:
        """Measure what stem, head and each block's router, shortcut and paths take here.

        Times are per image of a batch of ``batch``, with all of its images alike; they add up to
        less than a run where caches do not hold all weights. Of a cascade each member is a block.
        Raises ValueError for no images.
        """
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        return self._runner.profile(batch)

    def __repr__(self) -> str:
        return f"Engine(threads={self.threads}) of {self._runner.source()[0]!r}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (*self._runner.source(), self.threads, self.portable, self._asked)


def _rebuild(
    model: DynamicNetwork | Cascade,
    image: Tensor,
    threads: int,
    portable: bool,
    precision: Precision | None,
) -> Engine:
    return Engine(model, image, threads=threads, portable=portable, precision=precision)
