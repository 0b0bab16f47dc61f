"""Signals that ask a training to stop."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Signals:
    """Turns SIGINT and SIGTERM into a flag while the trainer plays; a second one acts as usual."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._usual: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._usual[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)

    def _take(self, number: int, _: object) -> None:
        self.received = signal.Signals(number).name
        signal.signal(number, self._usual[number])
