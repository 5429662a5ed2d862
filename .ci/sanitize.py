"""The engine's compiled code under a sanitizer, on random networks, sizes, paths and threads.

``python .ci/sanitize.py address,undefined`` (or ``thread``) starts itself again with the library of
the sanitizer loaded first, as Python itself is not built with it. Every weight gets memory of its
own, so that to read beyond one is to read beyond an allocation. Answers are compared with the
model's.
"""

import os
import random
import subprocess
import sys
import time

LIBRARIES = {"address,undefined": "libasan.so", "thread": "libtsan.so"}
SECONDS, NETWORKS = 60, 40
"""At least so long, and so many: the first of each kind compile."""
MINE = "DYNCORE_SANITIZED"
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0",  # Python and torch keep what they have until the end
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "report_signal_unsafe=0",
}


def start(sanitizers: str) -> int:
    """Run this file under ``sanitizers``; its exit status."""
    compiler = os.environ.get("CXX", "c++")
    find = [compiler, f"-print-file-name={LIBRARIES[sanitizers]}"]
    library = subprocess.run(find, capture_output=True, check=True, text=True).stdout.strip()
    environment = {**os.environ, **OPTIONS, "LD_PRELOAD": library, MINE: sanitizers}
    environment["OMP_NUM_THREADS"] = "1"
    # ThreadSanitizer wants memory where it was built to find it.
    fixed = ["setarch", "-R"] if sanitizers == "thread" else []
    return subprocess.run([*fixed, sys.executable, __file__], env=environment).returncode


def soak(sanitizers: str) -> None:
    """Engines until the time is over."""
    import torch

    from dyncore.engine import _network
    from dyncore.engine.native import _packing
    from dyncore.native import _build

    os.environ.pop("LD_PRELOAD")  # the compiler needs none
    plain = tuple("-O1" if flag == "-O3" else flag for flag in _build.FLAGS)
    _build.FLAGS = (*plain, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-g")
    _packing.Store.keep = keep  # type: ignore[method-assign]
    emulated = _network.library

    draw, generator = random.Random(), torch.Generator()
    end, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < end or count < NETWORKS:
        seed = draw.randrange(2**32)
        print(f"\rnetwork {count}, seed {seed}", end="", flush=True)
        flags = draw.choice([(), ("-DEMULATED",), ("-DEMULATED", "-DMATRICES")])
        _network.library = lambda dtype, *own, more=flags: emulated(
            dtype, *own, *(more if own else ())
        )
        _network.multiplies_bfloat16 = lambda: True
        one(random.Random(seed), generator.manual_seed(seed))
        count += 1
    print(f"\n{count} networks under {sanitizers}: nothing found")


def keep(self, values, dtype=None):  # type: ignore[no-untyped-def]
    """In place of :meth:`Store.keep`: an allocation per weight."""
    kept = values.flatten().to(dtype or self.dtype).clone()
    self.kept = [*getattr(self, "kept", []), kept]
    return kept.data_ptr()


def one(draw: random.Random, generator) -> None:  # type: ignore[no-untyped-def]
    """One network, on its own decisions and on drawn ones."""
    import torch

    from dyncore import Engine, ExecutionPath
    from dyncore.backbones import MobileNetV2Config, ResNetConfig
    from dyncore.blocks import Granularity
    from dyncore.gating import (
        GumbelSoftmaxGateConfig,
        IdentityRouterConfig,
        ReLU1GateConfig,
        ShortRangeRouterConfig,
    )
    from dyncore.network import DynamicConfig, DynamicNetwork

    channels = draw.random() < 0.3
    widths = draw.choice([(3, 5), (8,), (16, 24), (33,)])
    resnet = ResNetConfig(
        block=draw.choice(["basic", "bottleneck"]),
        depths=(2,) * len(widths),
        widths=widths,
        stem=draw.choice(["cifar", "cifar2", "imagenet"]),
        shortcut=draw.choice(["projection", "pad"]),
    )
    mobile = not channels and draw.random() < 0.2
    group = draw.choice([1, 3, 16])
    model = DynamicNetwork(
        DynamicConfig(
            backbone=MobileNetV2Config(width=0.2) if mobile else resnet,
            num_classes=3,
            granularity=Granularity(paths=1 if channels else draw.randint(1, 3), channels=channels),
            router=IdentityRouterConfig() if channels else ShortRangeRouterConfig(dim=4),
            gate=ReLU1GateConfig(channel_group=group) if channels else GumbelSoftmaxGateConfig(),
        )
    ).eval()
    size, count = (draw.randint(9, 40), draw.randint(9, 40)), draw.randint(1, 5)
    images = torch.randn(count, 3, *size, generator=generator)
    precision = draw.choice(["bf16", "fp32"])
    engine = Engine(model, images, threads=draw.randint(1, 4), precision=precision)
    on, channel_on = (
        torch.rand(count, sum(columns), generator=generator) < draw.choice([0.0, 0.5, 1.0])
        for columns in (model.paths_per_block, model.channels_per_block)
    )
    forced = ExecutionPath.of(
        on,
        model.paths_per_block,
        channel_on if channels else None,
        model.channels_per_block,
    )
    with torch.no_grad():
        for _ in range(2):
            found = engine(images)
            assert bool(found.logits.isfinite().all())
            found, expected = engine(images, path=forced), model(images, path=forced)
            scale = 1e-4 + float(expected.logits.abs().max())
            error = float((found.logits - expected.logits).abs().max()) / scale
            assert error < (0.2 if precision == "bf16" else 1e-3), error


if __name__ == "__main__":
    if MINE in os.environ:
        soak(os.environ[MINE])
    else:
        sys.exit(max(start(sanitizers) for sanitizers in sys.argv[1:] or LIBRARIES))
