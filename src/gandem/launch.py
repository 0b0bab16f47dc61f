"""Starts one process per device on this machine; several machines are started with torchrun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from gandem.errors import RecipeError

GRACE_SECONDS = 10.0
"""How long the others may go on when one process has failed."""


class Relaunch(Exception):
    """Asks for the same command in several processes."""

    def __init__(self, devices: int) -> None:
        self.devices = devices


def spread(devices: int) -> None:
    """Ask for one process per device, by raising Relaunch, unless torchrun has started them already."""
    if devices < 1:
        raise RecipeError(f"--devices {devices}: must be 1 or more")
    if devices > 1 and "RANK" not in os.environ:
        raise Relaunch(devices)


def relaunch(tokens: list[str], devices: int) -> int:
    """Run the same command in `devices` processes that share each batch."""
    position = next(i for i, token in enumerate(tokens) if token.split("=")[0] == "--devices")
    width = 1 if "=" in tokens[position] else 2
    tokens = tokens[:position] + tokens[position + width :]
    sys.stdout.flush()
    return launch(tokens, devices)


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run `python -m gandem ARGUMENTS` in so many processes that know of each other; return the exit code.

    Signals are handed on, so that each process saves and stops; when one fails, the others are stopped.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    threads = str(max((os.cpu_count() or 1) // processes, 1))
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "gandem", *arguments],
            env={"OMP_NUM_THREADS": threads, **os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(processes)
    ]
    usual = {number: signal.signal(number, _hand_on(children)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _wait(children)
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _wait(children: list[subprocess.Popen[bytes]]) -> int:
    failed_at, first = None, 0
    while any(child.poll() is None for child in children):
        if failed_at is None and (first := next((child.returncode for child in children if child.poll()), 0)):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > GRACE_SECONDS:
            for child in children:
                child.kill()
        time.sleep(0.1)
    return first or next((child.returncode for child in children if child.returncode), 0)


def _hand_on(children: list[subprocess.Popen[bytes]]) -> Callable[[int, FrameType | None], None]:
    """Return a handler that passes a signal on, unless a terminal has sent it to the whole group already."""

    def handler(number: int, _: FrameType | None) -> None:
        if number != signal.SIGINT or not sys.stdin.isatty():
            for child in children:
                if child.poll() is None:
                    child.send_signal(number)

    return handler
