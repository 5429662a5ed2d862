"""From a C++ file to a library, once per user.

A compiler on this machine builds it for this very processor. The library stays in a cache, under a
name made of the sources, the compiler and the processor.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from dyncore.files import cache_folder, replacing

HEADERS = Path(__file__).parent
FLAGS = ("-std=c++20", "-O3", "-march=native", "-shared", "-fPIC")
SCALARS = {torch.float32: "float", torch.float64: "double"}

logger = logging.getLogger(__name__)


def load(
    source: Path, dtype: torch.dtype, flags: Sequence[str], *, user: str
) -> ctypes.CDLL | None:
    """``source`` with ``SCALAR`` for tensors of ``dtype``.

    It may include files beside it, and the headers that lie here.

    None where there is no compiler, and, with a warning about what ``user`` does without it, where
    it does not compile. Where there is no cache to keep it in, it is compiled for this process
    alone, with a warning.
    """
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
    if dtype not in SCALARS or compiler is None:
        return None
    build = partial(_compile, compiler, source, SCALARS[dtype], (*FLAGS, *flags))
    try:
        try:
            return ctypes.CDLL(str(build(cache_folder("native"))))
        except OSError as error:  # no home, a cache that may only be read or runs no code, ...
            with TemporaryDirectory() as folder:
                loaded = ctypes.CDLL(str(build(Path(folder))))
            logger.warning(
                "the cache cannot keep native code (%s), which is compiled anew by every process: "
                "set XDG_CACHE_HOME to a folder that can be written",
                error,
            )
            return loaded
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        logger.warning("%s without native code, which does not compile here: %s", user, reason)
        return None


def _compile(compiler: str, source: Path, scalar: str, flags: Sequence[str], folder: Path) -> Path:
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(version + _processor().encode() + " ".join(flags).encode())
    digest.update(source.name.encode())
    for file in [*sorted(source.parent.iterdir()), *sorted(HEADERS.glob("*.h"))]:
        digest.update(file.read_bytes())
    target = folder / f"{digest.hexdigest()[:32]}-{scalar}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(target) as temporary:
            subprocess.run(
                [
                    compiler,
                    *flags,
                    f"-I{HEADERS}",
                    f"-DSCALAR={scalar}",
                    str(source),
                    "-o",
                    str(temporary),
                ],
                capture_output=True,
                check=True,
                text=True,
                timeout=300,
            )
    return target


def _processor() -> str:
    """What ``-march=native`` depends on."""
    described = Path("/proc/cpuinfo")
    if not described.exists():
        return platform.platform() + platform.processor()
    lines = described.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = ("vendor_id", "cpu family", "model\t", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
