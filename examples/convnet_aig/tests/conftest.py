"""The package as its users get it: built as a wheel and installed, for these tests only."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dyncore.parts

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="session", autouse=True)
def installed(tmp_path_factory):
    """The folder that it is installed in; afterwards nobody knows it any more."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-c", BUILD, str(wheels)], cwd=ROOT, check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)  # for processes of their own
        dyncore.parts.registered.cache_clear()
        yield site
    dyncore.parts.registered.cache_clear()
    for name in [name for name in sys.modules if name.startswith("dyn_convnet_aig")]:
        del sys.modules[name]
