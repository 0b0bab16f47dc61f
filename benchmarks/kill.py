"""Kill a training with SIGKILL at random moments, resume it each time, and compare it with one that was left in peace.

    python benchmarks/kill.py [--kills 20] [--budget 20k] [--width 16]

The final generator, its moving average, the discriminator and both optimisers must be equal bit for bit (on the CPU),
no checkpoint may be unreadable, and no kill may cost more than the interval between two checkpoints. Moments are drawn
over the whole life of a process, so some kills fall into its start. A run that ends before all kills are done is
compared and another one begins.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from measured import RESULTS, ROOT, save_result
from safetensors.numpy import load_file

CHECKPOINT_SECONDS = 1.0
DEMO_DATA = ROOT / "src" / "gandem" / "data" / "fashion_4000.npz"


class Victim:
    """One training in a run folder, and how to start it or go on with it."""

    def __init__(self, out: Path, options: argparse.Namespace) -> None:
        self.out = out
        settings = [f"training.checkpoint_seconds={CHECKPOINT_SECONDS:g}", f"network.width={options.width}"]
        self.train = ["train", str(options.source), "--out", str(out), "--budget", options.budget, "--seed", "1"]
        self.train += ["--device", "cpu", "--quiet", *(word for pair in settings for word in ("--set", pair))]
        self.resume = ["resume", str(out), "--device", "cpu", "--quiet"]

    def start(self) -> subprocess.Popen[bytes]:
        """Resume where there is a run folder, and begin where the start was killed before it made one."""
        words = self.resume if self.out.exists() else self.train
        return subprocess.Popen(
            [sys.executable, "-m", "gandem", *words], stderr=subprocess.PIPE, start_new_session=True
        )

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end; raises RuntimeError with what the process said when it failed."""
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(f"exit code {process.returncode}: {said.decode(errors='replace').strip()}")

    def checkpoints(self) -> list[Path]:
        """Return the finished checkpoints, oldest first."""
        return sorted((self.out / "checkpoints").glob("[0-9]*"))

    def events(self) -> list[dict[str, Any]]:
        """Return the event log; the last line may be torn by the kill."""
        try:
            lines = (self.out / "events.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def unreadable(self) -> list[str]:
        """Return the names of checkpoint files that cannot be read."""
        broken = []
        for path in (file for checkpoint in self.checkpoints() for file in checkpoint.iterdir()):
            try:
                load_file(path) if path.suffix == ".safetensors" else json.loads(path.read_text(encoding="utf-8"))
            except Exception as error:
                broken.append(f"{path.name}: {error}")
        return broken


def final_weights(victim: Victim) -> dict[str, bytes]:
    """Return every tensor of the last checkpoint as bytes, by file and name."""
    files = sorted(victim.checkpoints()[-1].glob("*.safetensors"))
    return {f"{file.stem}/{name}": array.tobytes() for file in files for name, array in load_file(file).items()}


def kill_once(victim: Victim, moment: float) -> dict[str, Any] | None:
    """Start or go on, kill after `moment` seconds and look at what is left; None when the run ended before."""
    known = len(victim.events())
    process = victim.start()
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    else:
        victim.finish(process)
        return None
    killed = time.time()
    events = victim.events()
    saved = [event for event in events if event["event"] == "checkpoint"]
    shown = max((event["images"] for event in events if event["event"] in ("progress", "checkpoint")), default=0)
    reached = int(victim.checkpoints()[-1].name) if victim.checkpoints() else 0
    playing = any(event["event"] == "progress" for event in events[known:])
    return {
        "after_seconds": moment,
        "during": events[-1]["event"] if len(events) > known else "start",
        "images_at_checkpoint": reached,
        "images_lost_at_least": max(shown - reached, 0),
        "seconds_since_checkpoint": killed - saved[-1]["time"] if saved and playing else None,
        "unreadable": victim.unreadable(),
    }


def moment_of_death(rng: np.random.Generator, startup: float, training: float, kills: int) -> float:
    """Draw when to kill: one in five while the process starts, the others while it trains."""
    if rng.random() < 0.2:
        return rng.uniform(0, startup)
    return startup + rng.uniform(0, max(2 * training / kills, 3 * CHECKPOINT_SECONDS))


def main() -> None:
    """Run in peace once, then with the kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--budget", default="20k", help="in images, so that nothing depends on the clock")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--source", type=Path, default=DEMO_DATA)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    kills: list[dict[str, Any]] = []
    rounds, different = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        peace = Victim(Path(folder) / "peace", options)
        peace.finish(peace.start())
        finished = next(event for event in reversed(peace.events()) if event["event"] == "finished")
        training = finished["seconds"]
        startup = time.time() - began - training
        wanted = final_weights(peace)
        print(f"in peace: {startup:.1f} s to start, {training:.1f} s of training, {len(wanted)} tensors", flush=True)
        while len(kills) < options.kills:
            rounds += 1
            victim = Victim(Path(folder) / f"killed{rounds}", options)
            while len(kills) < options.kills:
                outcome = kill_once(victim, moment_of_death(rng, startup, training, options.kills))
                if outcome is None:
                    break
                kills.append(outcome)
                print(f"kill {len(kills)}: {outcome}", flush=True)
            victim.finish(victim.start())  # a finished run says so and exits with 0
            found = final_weights(victim)
            different.update(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    waits = [kill["seconds_since_checkpoint"] for kill in kills if kill["seconds_since_checkpoint"] is not None]
    figures = {
        "kills": len(kills),
        "runs": rounds,
        "tensors_compared": len(wanted) * rounds,
        "tensors_different": sorted(different),
        "unreadable_checkpoint_files": sum(len(kill["unreadable"]) for kill in kills),
        "checkpoint_seconds": CHECKPOINT_SECONDS,
        "most_seconds_since_checkpoint": max(waits, default=None),
        "most_images_lost": max((kill["images_lost_at_least"] for kill in kills), default=0),
        "each": kills,
    }
    path = save_result("kill", figures, seed=options.seed, folder=options.results)
    print(f"{len(kills)} kills, {len(different)} of {len(wanted)} tensors differ; saved {path}")
    sys.exit(bool(different or figures["unreadable_checkpoint_files"]))


if __name__ == "__main__":
    main()
