"""What is seen where a command takes its time."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A moving sign beside ``text`` while something runs: on a terminal; in a file nothing."""
    with Console(stderr=True).status(text):
        yield
