"""Tiny networks of every granularity, whose decisions differ between images, and single blocks.

All in float64. And packages that register parts.
"""

import re
import shutil
import sys
from collections.abc import Callable, Generator, Iterator, Mapping

import pytest
import torch
import torch.nn.functional as F
from hypothesis import settings
from torch import Tensor, nn

from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import GatedBlock, Granularity
from dyncore.gating import (
    ContextRouterConfig,
    Gate,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
    TwoLogitGate,
)
from dyncore.network import DynamicConfig, DynamicNetwork
from dyncore.parts import _entry_points, registered

settings.register_profile("dyncore", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("dyncore")

BASIC = ResNetConfig(block="basic", depths=(1, 2), widths=(4, 8), stem="cifar")
BASIC_PAD = ResNetConfig(block="basic", depths=(1, 2), widths=(4, 8), stem="cifar", shortcut="pad")
BOTTLENECK = ResNetConfig(block="bottleneck", depths=(1, 1), widths=(4, 8), stem="cifar2")
MOBILENET = MobileNetV2Config(width=0.35)

CONTEXT = ContextRouterConfig(dim=6)
SHORT = ShortRangeRouterConfig(dim=12)
IDENTITY = IdentityRouterConfig()
RELAXED = GumbelSoftmaxGateConfig(temperature=0.7)
STRAIGHT = StraightThroughGateConfig(temperature=1.5)
GAUSSIAN = StraightThroughGateConfig(noise="gaussian")
RELU1 = ReLU1GateConfig(leak=0.02)

IN_CHANNELS = 8
"""Of a single block."""


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, for pages of ours."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        # Its sandbox needs rights that containers do not give; the page is our own.
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def _fresh_accelerate() -> Iterator[None]:
    """Accelerate remembers the first run's precision for the life of the process."""
    yield
    if state := sys.modules.get("accelerate.state"):  # slow to load, and not installed everywhere
        state.AcceleratorState._reset_state(reset_partial_state=True)


def _config(backbone, router=None, gate=None, combine="additive", **granularity) -> DynamicConfig:
    return DynamicConfig(
        backbone=backbone,
        num_classes=5,
        granularity=Granularity(**granularity),
        router=router,
        gate=gate,
        combine=combine,
    )


CONFIGS = {
    "static": _config(BASIC),
    "blend": _config(BASIC, SHORT, RELAXED, "blend"),
    "blend-pad": _config(BASIC_PAD, SHORT, RELAXED, "blend"),
    "blend-bottleneck": _config(BOTTLENECK, SHORT, RELAXED, "blend"),
    "additive": _config(BASIC, CONTEXT, STRAIGHT),
    "additive-mobilenetv2": _config(MOBILENET, CONTEXT, STRAIGHT),
    "n2-basic": _config(BASIC_PAD, CONTEXT, GAUSSIAN, paths=2),
    "n3-bottleneck": _config(BOTTLENECK, CONTEXT, STRAIGHT, paths=3),
    "n2-mobilenetv2": _config(MOBILENET, CONTEXT, STRAIGHT, paths=2),
    "salience": _config(BASIC, IDENTITY, RELU1),
    "n2-salience": _config(BOTTLENECK, IDENTITY, RELU1, paths=2),
    "channels-basic": _config(BASIC, IDENTITY, RELU1, channels=True),
    "channels-bottleneck": _config(BOTTLENECK, IDENTITY, RELU1, channels=True),
}
GATED = [name for name, config in CONFIGS.items() if config.gate]


def _images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    contrast = torch.linspace(0.3, 1, 6, dtype=torch.float64)[:, None, None, None]
    colour = torch.randn(6, 3, 1, 1, generator=generator, dtype=torch.float64)
    texture = torch.randn(6, 3, 13, 16, generator=generator, dtype=torch.float64)
    return colour + contrast * texture


def _randomise(network: nn.Module) -> None:
    """Weights that keep the signal's size, biases, and norms that are not the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.3)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def _balance(gate: Gate, arguments: tuple[Tensor, ...]) -> None:
    """Scores of deviation 1, such that about half of the images are on."""
    scores = F.linear(arguments[0], gate.head.weight)
    scale = scores.std(0).clamp_min(1e-6)
    middle = (scores / scale).quantile(0.5, 0)
    gate.head.weight /= scale[:, None]
    gate.head.bias.copy_(-middle)
    if isinstance(gate, TwoLogitGate):
        off, on = (scores / scale - middle).unflatten(1, (-1, 2)).unbind(2)
        gate.head.bias[1::2] -= (on - off).quantile(0.5, 0)


@torch.no_grad()
def build(config: DynamicConfig, seed: int = 0) -> DynamicNetwork:
    """A network in evaluation whose gates are balanced on ``images``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DynamicNetwork(config).double().eval()
        _randomise(network)
    hooks = [gate.register_forward_pre_hook(_balance) for gate in network.gates.values()]
    network(_images())
    for hook in hooks:
        hook.remove()
    return network


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a C++ compiler, or a GPU, where there is none."""
    if item.get_closest_marker("needs_gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    if item.get_closest_marker("needs_compiler") and not (
        shutil.which("c++") or shutil.which("g++")
    ):
        pytest.skip("needs a C++ compiler")


REFUSALS = (ValueError, RuntimeError, TypeError)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """What the mark ``situation`` says, a row of ``docs/compatibility.md``, must be true.

    With ``refused="message"`` the test does what people do, and must end in an error with that
    message, in which … stands for what varies. ``under`` is the row's heading on the page, which
    ``benchmarks/page_compatibility.py`` makes; by default it is the module's docstring.
    """
    situation = pyfuncitem.get_closest_marker("situation")
    message = situation.kwargs.get("refused") if situation else None
    if message is None:
        return (yield)
    with pytest.raises(REFUSALS, match=".*".join(map(re.escape, message.split("…")))):
        yield
    return True


class Networks(dict[str, DynamicNetwork]):
    """The networks of ``CONFIGS``, built when they are first asked for."""

    def __missing__(self, name: str) -> DynamicNetwork:
        self[name] = build(CONFIGS[name])
        return self[name]


@pytest.fixture(scope="session")
def images() -> Tensor:
    """Six normalised images of size (3, 13, 16), of different colour and contrast."""
    return _images()


@pytest.fixture(scope="session")
def networks() -> Networks:
    """Networks by name; shared by all tests, so copy one before changing it."""
    return Networks()


@pytest.fixture(scope="session", params=CONFIGS)
def network(request: pytest.FixtureRequest, networks: Networks) -> DynamicNetwork:
    """Each of the networks."""
    return networks[request.param]


@pytest.fixture(scope="session", params=GATED)
def gated_network(request: pytest.FixtureRequest, networks: Networks) -> DynamicNetwork:
    """Each of the networks that decide."""
    return networks[request.param]


@pytest.fixture(scope="session")
def build_network() -> Callable[[DynamicConfig], DynamicNetwork]:
    """Builds a network of one's own."""
    return build


def _make_block(
    shortcut: str = "identity", *, form: str = "basic", combine: str = "additive", paths: int = 1
) -> GatedBlock:
    """The second block of a network; ``shortcut`` is identity, pad or projection."""
    same = shortcut == "identity"
    width = IN_CHANNELS if form == "basic" else IN_CHANNELS // 4
    config = ResNetConfig(
        block=form,
        depths=(2,) if same else (1, 1),
        widths=(width,) if same else (width, 2 * width),
        stem="cifar",
        shortcut="projection" if same else shortcut,
    )
    torch.manual_seed(7)
    backbone = config.build(3, granularity=Granularity(paths=paths), combine=combine)
    block = backbone.blocks[1].double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return block


@pytest.fixture(scope="session")
def make_block() -> Callable[..., GatedBlock]:
    """Builds a block."""
    return _make_block


@pytest.fixture(scope="session")
def x() -> Tensor:
    """Input of a block, of both signs, so that the shortcut's activation matters."""
    generator = torch.Generator().manual_seed(11)
    return torch.randn(4, IN_CHANNELS, 5, 6, generator=generator, dtype=torch.float64)


@pytest.fixture
def absent(monkeypatch) -> None:
    """One of our own methods that is not installed, whichever others are."""
    monkeypatch.setitem(_entry_points.PACKAGES, "absent", "dyn-absent")


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path, monkeypatch) -> Iterator[Install]:
    """Puts a distribution with one module on the path, as pip would."""

    def install(name: str, entry_points: Mapping[str, Mapping[str, str]], source: str = "") -> None:
        """``entry_points`` by group, then by name; ``source`` is its module ``<package>_parts``."""
        site, package = tmp_path / name, name.replace("-", "_")
        metadata = site / f"{package}-1.5.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        sections = (
            f"[dyncore.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in entry_points.items()
        )
        (metadata / "entry_points.txt").write_text("\n".join(sections))
        (site / f"{package}_parts.py").write_text(source)
        sys.modules.pop(f"{package}_parts", None)
        monkeypatch.syspath_prepend(site)
        registered.cache_clear()

    registered.cache_clear()
    yield install
    monkeypatch.undo()
    registered.cache_clear()
