"""No method's training step breaks the graph of ``torch.compile``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.situation(
    "`torch.compile(fullgraph=True)` of every method's training step, in bfloat16 autocast",
    under="A GPU, bfloat16, channels-last and `torch.compile`",
)
def test_every_methods_step_is_one_graph():
    """In bfloat16 autocast with channels-last maps; by ``fullgraph=True``."""
    script = Path(__file__).with_name("compiled_steps.py")
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for name, difference in json.loads(ended.stdout).items():
        assert difference < 0.02, name
