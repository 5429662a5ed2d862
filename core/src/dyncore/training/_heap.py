"""Memory that a step frees is there for the next one."""

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -3, -1, -2
"""Parameters of glibc's ``mallopt``."""


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees, for as long as it runs; elsewhere do nothing.

    By default it hands large blocks back to the system and asks for them again, thousands of pages
    per step, each of which the system clears: about a tenth of a training step on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(MMAP_THRESHOLD, 1 << 30)
    mallopt(TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(TOP_PAD, 1 << 28)
