"""The options of the commands, apart from what the commands do: help is written from these."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import getdoc
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tyro


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Measure a model on your images and this machine, beside static engines.

    Each image takes its own path. The others (torch, ONNX Runtime, OpenVINO, as far as they are
    installed) run the same network with every path on. Each computes in what it chooses itself.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub; with ``--blocks`` also the
    name of a model, which then has random weights."""
    data: str | None = None
    """Hub id, folder, or ``digits``, whose test split is classified."""
    images: int = 500
    """Images that are drawn from it at random, of which 64 are timed."""
    batch: tuple[int, ...] | None = None
    """Images per batch; None: 1, 8 and 32, with ``--blocks`` 1."""
    threads: int | None = None
    """Threads; None: torch's setting."""
    json: bool = False
    """Print JSON."""
    precision: Literal["fp32"] | None = None
    """fp32: all in float32. None: what each engine chooses here, ours and OpenVINO bfloat16 where
    the processor has it; ours only if that changes none of the timed images' answers."""
    budget: float | None = None
    """Turn the model's dial to this budget (``dyn calibrate``); default: where it stands."""
    output: str | None = None
    """Folder of the table and its figure; None: bench. With ``--blocks``, a file that the profile
    is written to, e.g. for ``--objective.flops.latency`` in training."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, with a warning; otherwise the first one is an error."""
    blocks: bool = False
    """Instead, time every router, shortcut and path, in nanoseconds; that needs no images."""
    size: int | None = None
    """With ``--blocks``, the images' height and width; None: the saved model's, else 224, for
    CIFAR forms 32."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""

    def __post_init__(self) -> None:
        if self.blocks == (self.data is not None):
            raise ValueError("give images with --data DATA, or time blocks with --blocks")
        if self.size is not None and not self.blocks:
            raise ValueError("--size is for --blocks: images have the size of the model's training")
        if self.blocks and len(self.batch or ()) > 1:
            raise ValueError("--blocks takes one --batch")
        if self.images < 1 or min(self.batch or (1,)) < 1:
            raise ValueError("images and batch must be at least 1")


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """Learn what it costs to move the thresholds of a model's gates, and save that with the model.

    ``model.set_budget(0.5)`` then makes it cost half of what its static form does. Every second
    image of the test split calibrates; the others tell how true the dial is.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub."""
    data: str
    """Hub id, folder, or ``digits``. Its test split must be new to the model."""
    budgets: tuple[float, ...] = ()
    """Budgets that are tried on the other images, shares of the static network's MACs (default:
    every twentieth within reach)."""
    budget: float | None = None
    """Leave the dial at this budget; default: the model stays as it was trained."""
    output: str | None = None
    """Folder for the calibrated model; default: MODEL itself, if it is a folder."""
    images: int | None = None
    """Images that calibrate at most, and as many that are tried; default: all. The cost of b
    budgets is that of about b + 30 evaluations."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, with a warning; otherwise the first one is an error."""
    json: bool = False
    """Print JSON."""
    batch_size: int = 256
    """Images per batch."""
    workers: int = 4
    """Processes that decode images; sets of small images need none."""

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 2:
            raise ValueError(f"images must be at least 2, not {self.images}")
        if wrong := [budget for budget in self.budgets if not budget > 0]:
            raise ValueError(f"budgets must be above 0, not {wrong[0]:g}")


@dataclass(frozen=True, kw_only=True)
class CascadeOptions:
    """Find out which of some models make the best cascades on a data set.

    Each model runs once over the test split; every pair and every triple is then tried by counting.
    """

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Two or more: folders written by ``save_pretrained``, ``org/name`` on the Hub, ``timm:NAME``,
    ``torchvision:NAME`` (with the library's weights), ONNX files."""
    data: str
    """Hub id, folder, or ``digits``. Its test split must be new to the models."""
    budget: float | None = None
    """Choose the most accurate cascade of at most this share of the dearest model's cost."""
    accuracy: float | None = None
    """Choose the cheapest cascade of at least this accuracy."""
    ms: float | None = None
    """Choose the most accurate cascade of at most so many milliseconds per image at batch 1."""
    save: str | None = None
    """Write the chosen cascade to this folder, with its members."""
    confidence: Literal["max-probability", "margin", "entropy"] = "max-probability"
    """How sure an answer is."""
    answer: Literal["mean", "last"] = "mean"
    """Mean of the probabilities of all members asked, or the last one's answer."""
    fit_temperatures: bool = False
    """Divide each model's logits by the temperature that fits the images best."""
    kept: str | None = None
    """Folder where predictions are kept, so that no model runs twice; None: the user's cache."""
    json: bool = False
    """Print JSON."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, with a warning; otherwise the first one is an error."""
    batch_size: int = 256
    """Images per batch."""
    workers: int = 4
    """Processes that decode images; sets of small images need none."""

    def __post_init__(self) -> None:
        if len(self.models) < 2:
            raise ValueError(f"a cascade needs at least two models, not {len(self.models)}")
        if set(self.aims.values()) != {None}:
            from dyncore.cascade import Aim  # late: it needs torch, and help does not

            Aim.of(**self.aims)  # raises for two of them
        elif self.save is not None:
            raise ValueError("--save needs to know which one: give --budget, --accuracy or --ms")

    @property
    def aims(self) -> dict[str, float | None]:
        """What could be chosen for; at most one is not None."""
        return {"budget": self.budget, "accuracy": self.accuracy, "ms": self.ms}


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Try a model on images in the browser: what runs for one, and what that takes."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub."""
    space: str | None = None
    """Write the page, with the model, as a Space of the Hugging Face Hub into this new folder, and
    serve nothing."""
    port: int | None = None
    """Where to serve it; None: the first free one from 7860 on."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Evaluate a saved model on the test split of a data set, with hard decisions."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub."""
    data: str
    """Hub id, folder, or ``digits``."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, with a warning; otherwise the first one is an error."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""
    budget: float | None = None
    """Turn the model's dial to this budget (``dyn calibrate``); default: where it stands."""
    output: str = "evaluation.parquet"
    """Where the file with one row per image goes."""
    json: bool = False
    """Print JSON."""
    batch_size: int = 256
    """Images per batch, over all processes."""
    precision: Literal["no", "bf16"] = "no"
    """Automatic mixed precision: none, or bfloat16."""
    workers: int = 4
    """Processes that decode images; sets of small images need none."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Write a saved model to a float32 file that runs without this project's Python code."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Folder written by ``save_pretrained``, or ``org/name`` on the Hub."""
    format: Literal["onnx", "pt2"]
    """ONNX (batches of any size), or AOTInductor's package, compiled for this machine."""
    budget: float | None = None
    """Turn the model's dial to this budget (``dyn calibrate``), which the file keeps for good.
    Default: where it stands."""
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
    skip_corrupt: bool = False
    """Leave out images that cannot be read, with a warning; otherwise the first one is an error."""
    calibration_images: int = 10_000
    """Images of a split that are read at most, drawn at random."""
    measure: bool = True
    """Measure here what the file takes beside the static network's, which is exported, too, into a
    temporary folder."""
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


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """Push a saved model to the Hub, with a model card, its evaluation and its recipe."""

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder written by ``save_pretrained`` or ``dyn train``."""
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """``org/name``; made if there is none. Log in with ``hf auth login`` or set HF_TOKEN."""
    private: bool = False
    """Make it private."""
    revision: str | None = None
    """Branch to push to, made if there is none; None: the main branch."""
    message: str = "Upload model"
    """Of the commit."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Draw what evaluations say, as one page and as PNG and SVG files.

    Accuracy against cost, what single images cost, which blocks run for which classes, and, with
    ``--data``, the images themselves.
    """

    evaluations: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folders of runs that have ended, or files that ``dyn eval`` wrote; all of the same images.
    Runs of one recipe with several seeds are drawn as one, with their spread."""
    data: str | None = None
    """The data set that was evaluated, to show its images: Hub id, folder, or ``digits``."""
    measure: bool = False
    """Measure here, in the engine, what an image takes in every run's model; needs ``--data``."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, as the evaluation did."""
    superclasses: str | None = None
    """Tell rates by these instead of by class: cifar10-superclasses, cifar100-superclasses,
    imagenet-58 or imagenet-groups."""
    printed: tuple[str, ...] = ()
    """Also show papers' printed points: files such as benchmarks/paper_tables/rdinet.toml."""
    output: str = "report"
    """Folder of the page and of the figures."""
    json: bool = False
    """Print the table as JSON."""

    def __post_init__(self) -> None:
        if not self.evaluations:
            raise ValueError("name at least one run's folder or evaluation file")
        if self.measure and self.data is None:
            raise ValueError("--measure needs the images: give --data as well")


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """Run what is open of a campaign, or show it. The same command goes on where it was."""

    campaign: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAMPAIGN")]
    """A TOML file of runs; docs/campaigns.md says what stands in it."""
    data: str | None = None
    """Data set in place of the recipes': a Hub id, a folder, or ``digits``."""
    models: tuple[str, ...] = ()
    """NAME=FOLDER of each model that the campaign's runs start from."""
    output: str = "runs"
    """Folder for the runs' own folders: checkpoints, logs, models."""
    results: str | None = None
    """Folder of the results, one JSON per run; None: beside the campaign, under its name."""
    only: str | None = None
    """Pattern of runs' names, e.g. 'vanilla-*' or '*-s0'."""
    jobs: int = 1
    """Runs at once: on a CPU one thread each, on GPUs in turn."""
    list: bool = False
    """Show what is done and what is open, and run nothing."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, not {self.jobs}")
        if wrong := [given for given in self.models if not all(given.partition("="))]:
            raise ValueError(f"models are given as NAME=FOLDER, not {wrong[0]!r}")

    @property
    def folders(self) -> dict[str, str]:
        """The models by name."""
        parts = (given.partition("=") for given in self.models)
        return {name: folder for name, _, folder in parts}


@dataclass(frozen=True, kw_only=True)
class NewMethodOptions:
    """Write the package of a new method: router, method, recipes and the conformance test."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """Of the method: small letters and digits."""
    output: str = "."
    """Folder in which the package's own folder is made."""


OPTIONS: dict[str, type[Any]] = {
    "bench": BenchOptions,
    "calibrate": CalibrateOptions,
    "cascade": CascadeOptions,
    "demo": DemoOptions,
    "eval": EvalOptions,
    "export": ExportOptions,
    "new-method": NewMethodOptions,
    "push": PushOptions,
    "report": ReportOptions,
    "reproduce": ReproduceOptions,
}


EXAMPLES = {
    "bench": "dyn bench runs/rdinet-resnet20-digits-b0.6/model --data digits",
    "calibrate": "dyn calibrate runs/rdinet-resnet20-digits-b0.6/model --data digits",
    "cascade": "dyn cascade runs/A/model runs/B/model --data digits --budget 0.6",
    "demo": "dyn demo models/cascade-resnet-cifar10",
    "eval": "dyn eval runs/rdinet-resnet20-digits-b0.6/model --data digits",
    "export": "dyn export runs/rdinet-resnet20-digits-b0.6/model --format onnx",
    "new-method": "dyn new-method mynet --output methods",
    "push": "dyn push runs/rdinet-resnet20-digits-b0.6/model org/name --private",
    "report": "dyn report runs/rdinet-resnet20-digits-b0.6 --data digits",
    "reproduce": "dyn reproduce campaign.toml --data path/to/cifar10 --list",
}


def parse(command: str, arguments: Sequence[str]) -> Any:
    """The command's options. Exits after its help, and with status 2 for options that are wrong."""
    options = OPTIONS[command]
    return tyro.cli(
        options,
        prog=f"dyn {command}",
        description=f"{getdoc(options)}\n\nExample: {EXAMPLES[command]}",
        args=list(arguments),
    )


def flags() -> dict[str, list[str]]:
    """What begins with ``--`` of every command, for completion."""
    found = {}
    for command, options in OPTIONS.items():
        hints = get_type_hints(options, include_extras=True)
        named = [name for name, hint in hints.items() if tyro.conf.Positional not in get_args(hint)]
        found[command] = [f"--{name.replace('_', '-')}" for name in named]
    return found
