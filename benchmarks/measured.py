"""What every benchmark needs: the machine in words, its own peak, and a result file that says how it came about."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLACES = ("--data", "--run", "--work", "--results")
"""Options that say where files lie, which is everyone's own business."""
LOAD_BEFORE = [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else []
"""Load averages over 1, 5 and 15 minutes when this process began: what else the machine was doing."""


def machine() -> dict[str, Any]:
    """Describe this machine: processor, usable cores, threads, versions, accelerator."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def commit() -> str:
    """Return the commit of this checkout, with "+changes" when files differ from it, or "unknown" outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--", "src", "benchmarks/*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def command() -> str:
    """Return the command line of this process as one would type it in the checkout: without the folders it uses."""
    script = Path(sys.argv[0])
    name = script.resolve().relative_to(ROOT).as_posix() if script.resolve().is_relative_to(ROOT) else script.name
    places = {at for at, word in enumerate(sys.argv) if word in PLACES}
    told = [word for at, word in enumerate(sys.argv) if at and at not in places and at - 1 not in places]
    return shlex.join(["python", name, *told])


def synchronise(device: torch.device) -> None:
    """Wait until the device has done everything it was asked to do, so that the clock tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_product_rate(dtype: torch.dtype, device: torch.device, size: int = 4096) -> float:
    """Time one size x size matrix product and return FLOP/s, two operations for each multiply-add."""
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    repeats = 20 if device.type == "cuda" else 1
    left[:64] @ right
    synchronise(device)
    began = time.perf_counter()
    for _ in range(repeats):
        left @ right
    synchronise(device)
    return repeats * 2 * size**3 / (time.perf_counter() - began)


def peak(device: torch.device, repeats: int = 5, size: int = 4096) -> dict[str, float]:
    """Return the median rate of a large matrix product in FLOP/s, as {"fp32": ..., "bf16": ...}."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return {
        name: statistics.median(matrix_product_rate(kind, device, size) for _ in range(repeats))
        for name, kind in kinds.items()
    }


def save_result(
    name: str,
    figures: dict[str, Any],
    *,
    seed: int | None = None,
    command_line: str | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Write `<folder>/<name>.json` whole or not at all: the figures, and everything one needs to repeat them."""
    record = {
        "name": name,
        "command": command_line or command(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load_before": LOAD_BEFORE,
        "seed": seed,
        "figures": figures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    target, temporary = folder / f"{name}.json", folder / f".{name}.json.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    return target


def race_options(doc: str | None, sets: Iterable[str], arms: Iterable[str], **switches: str) -> argparse.Namespace:
    """Read the command line of a race: which sets, arms and seeds, for how many minutes, and where files lie.

    switches: further ones that are off unless given, and their help.
    """
    sets, arms = list(sets), list(arms)
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--arms", nargs="+", choices=arms, default=arms)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    for name, told in switches.items():
        parser.add_argument(f"--{name}", action="store_true", help=told)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    return options


def load_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Read every result file in `folder`, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
