"""SIGINT and SIGTERM as requests, which a run answers between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

HEARD = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(Exception):  # noqa: N818 - nothing went wrong
    """A run that left after a signal; it can go on from its last checkpoint."""

    def __init__(self, message: str, signal: signal.Signals) -> None:
        super().__init__(message)
        self.signal = signal


class StopRequest:
    """Within it SIGINT and SIGTERM do no more than set :attr:`signal`.

    Where one process trains alone, a second SIGINT interrupts at once. Of several, each may get
    two of one Ctrl-C: the terminal's, and the launcher's.

    Python hears signals in its main thread only; elsewhere this does nothing.
    """

    def __init__(self, *, alone: bool) -> None:
        self.signal: signal.Signals | None = None
        self._alone = alone
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in HEARD}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        if self._alone and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
