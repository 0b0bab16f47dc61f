"""kill -9 at any moment costs at most the time since the last checkpoint, and not one bit of the result."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

IMAGES = 1600
SETTINGS = (
    "network.width=32",
    "training.batch=16",
    "training.precision=fp32",
    "training.checkpoint_seconds=0.2",
    "referee.every=400",
    "referee.samples=100",
)


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "gandem", *map(str, arguments), "--device", "cpu", "--quiet"]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})


def train(npz: Path, out: Path) -> subprocess.Popen:
    chosen = [part for setting in SETTINGS for part in ("--set", setting)]
    return start("train", npz, "--out", out, "--budget", IMAGES, *chosen)


def kill(process: subprocess.Popen, run: Path, known: set[str], delay: float) -> None:
    """Kill a training some time after its first new checkpoint."""
    deadline = time.monotonic() + 60
    while names(run) <= known:
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was over before it was killed"


def names(run: Path) -> set[str]:
    return {path.name for path in (run / "checkpoints").glob("[0-9]*")}


def weights(run: Path) -> dict[str, str]:
    files = (run / "checkpoints" / f"{IMAGES:012d}").glob("*.safetensors")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_killed_twice_and_equal_to_the_bit(npz: Path, tmp_path: Path) -> None:
    moments = random.Random(7)
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    undisturbed, process = train(npz, calm), train(npz, killed)
    try:
        for _ in range(2):
            kill(process, killed, names(killed), moments.uniform(0, 0.2))
            process = start("resume", killed)
        assert process.wait(100) == 0 and undisturbed.wait(100) == 0
    finally:
        process.kill()
        undisturbed.kill()
    assert weights(killed) == weights(calm) and len(weights(calm)) == 5
    assert not list((killed / "checkpoints").glob(".*"))
    events = [json.loads(line) for line in (killed / "events.jsonl").read_text().splitlines()]
    shown = [event["images"] for event in events if event["event"] == "checkpoint"]
    assert shown == sorted(set(shown)), "the log must not tell of what was done twice"
