"""glibc hands blocks of 64 MB back each time they are freed, unless it is told to keep them."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from dyncore.training import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    torch.zeros(16 * 2**20)

keep_freed_memory()
for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_a_step_finds_the_memory_of_the_one_before():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1000, "a block of 64 MB has 16,384 pages, and there were 10"
