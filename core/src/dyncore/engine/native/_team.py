"""The threads of compiled code, in this process and in those that are forked off."""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


class Team:
    """The threads that networks share which run one after the other.

    Two networks with threads of their own would be in each other's way: those of the one go on
    spinning where the other's want to work. A process that was forked off has none of the threads:
    it gets a crew of its own when it first asks.
    """

    def __init__(self, code: ctypes.CDLL, threads: int) -> None:
        self.code, self.threads = code, threads
        self._crew = Crew(code, threads)
        self._parents: list[Crew] = []
        """Never thrown away: to end a crew is to wait for its threads."""

    def here(self) -> "Crew":
        """This process's."""
        if self._crew.process != os.getpid():
            self._parents.append(self._crew)
            self._crew = Crew(self.code, self.threads)
        return self._crew


class Crew:
    """The threads of one process, for one call at a time.

    A call that needs operations of torch goes to a thread that uses no others: torch's would go on
    spinning where the crew wants to work, and to change the caller's setting costs a millisecond.
    """

    def __init__(self, code: ctypes.CDLL, threads: int) -> None:
        self.process = os.getpid()
        self.code, self.threads = code, threads
        self.address = code.new_team(threads)
        weakref.finalize(self, _delete, code, self.address, self.process)
        self.lock = threading.Lock()
        """Held by the call that runs."""
        self._thread = _single_threaded()
        weakref.finalize(self, self._thread.shutdown, wait=False)

    def with_torch(self, run: Callable[[], T]) -> T:
        """What ``run`` returns, on the thread whose operations of torch use no others."""
        return self._thread.submit(run).result()


def _delete(code: ctypes.CDLL, address: int, process: int) -> None:
    """A process that was forked off has none of the threads that this would wait for."""
    if os.getpid() == process:
        code.delete_team(address)


def _single_threaded() -> ThreadPoolExecutor:
    """A thread whose operations use no other threads.

    torch takes what a thread sets for itself as the default of threads that start later, too. So
    it starts here, and then the caller's number is set again.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, "dyncore")
    pool.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(before)
    return pool
