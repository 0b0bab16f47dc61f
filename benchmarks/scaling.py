"""What a training step costs against batch, size, width and processes: seconds and memory, with slopes.

    python benchmarks/scaling.py --seconds 6
    python benchmarks/tables.py

One thing is changed at a time, around 32 x 32 colour, width 64, steps of 64, bf16, one thread; every point runs in a
fresh process, so that its peak memory is its own. The slope is that of log cost over log of what is changed: 1 means
twice the cost for twice as much. "processes" compares 2 processes of one thread each, which share every batch and
average gradients over gloo, with 1 process of two threads and with 1 of one. Leaves benchmarks/results/scaling.json and
a picture.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measured import RESULTS, save_result
from PIL import Image, ImageDraw, ImageFont

BASE = {"size": 32, "width": 64, "batch": 64, "processes": 1, "threads": 1}
SWEEPS: dict[str, tuple[int, ...]] = {
    "batch": (8, 16, 32, 64, 128, 256),
    "size": (16, 32, 64, 128),
    "width": (16, 32, 64, 128, 256),
}
TEAMS = ({"processes": 1, "threads": 1}, {"processes": 1, "threads": 2}, {"processes": 2, "threads": 1})
REPEATS = 3


def measure_here(case: dict[str, int], seconds: float) -> dict[str, float] | None:
    """Play steps of one case in this process; return seconds an image and peak GiB, None in any but the first."""
    import torch

    from gandem.domains.images import IMAGES
    from gandem.domains.images.store import ImageData
    from gandem.recipe import load_recipe
    from gandem.spec import SampleSpec
    from gandem.training.budget import Budget
    from gandem.training.build import build_game
    from gandem.training.engine import Engine
    from gandem.training.loop import Loop

    torch.set_num_threads(case["threads"])
    side = case["size"]
    images = np.random.default_rng(0).integers(0, 256, (max(case["batch"], 256), side, side, 3), dtype=np.uint8)
    data = ImageData(images, None, SampleSpec((3, side, side)))
    settings = {
        "network.width": case["width"],
        "training.batch": case["batch"],
        "game.augment": 0.0,
        "game.growth": 0.0,
    }
    recipe = IMAGES.decided(data, load_recipe("default", settings))
    trainer = Loop(
        build_game(IMAGES, data, recipe, case["width"]),
        data,
        Engine("cpu", "bf16"),
        budget=Budget(images=10**9),
        optimizer=recipe.optimizer.decided(case["width"]),
        training=recipe.training,
    )
    for _ in range(3):
        trainer.play_step(0.5)
    rates = []
    for _ in range(REPEATS):
        began, steps = time.perf_counter(), 0
        while steps < 2 or trainer.engine.agree(time.perf_counter() - began) < seconds / REPEATS:
            trainer.play_step(0.5)
            steps += 1
        rates.append((time.perf_counter() - began) / (steps * case["batch"]))
    if not trainer.engine.is_main:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds_per_image": statistics.median(rates), "peak_gib": peak}


def measure_apart(case: dict[str, int], seconds: float) -> dict[str, Any]:
    """The same in fresh processes, each with its thread(s)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, __file__, "--seconds", str(seconds), "--case", json.dumps(case)]
    shared = {"WORLD_SIZE": str(case["processes"]), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    children = []
    for rank in range(case["processes"]):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} | shared if case["processes"] > 1 else {}
        environment = {**os.environ, "OMP_NUM_THREADS": str(case["threads"]), **own}
        children.append(subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True))
    texts = [child.communicate()[0] for child in children]
    found = {**case, **json.loads(texts[0].strip().splitlines()[-1])}
    print(found, flush=True)
    return found


def slope(points: list[dict[str, Any]], over: str, cost: str) -> float:
    """Return the least-squares slope of log cost over log of what is changed."""
    x, y = ([math.log(point[key]) for point in points] for key in (over, cost))
    return float(np.polyfit(x, y, 1)[0])


def picture(sweeps: dict[str, list[dict[str, Any]]], slopes: dict[str, dict[str, float]]) -> Image.Image:
    """Draw both costs of every sweep on logarithmic axes."""
    wide, high, margin = 300, 240, 46
    costs = {"seconds_per_image": "ms an image", "peak_gib": "peak memory, GiB"}
    paper = Image.new("RGB", (len(sweeps) * wide, len(costs) * high), "white")
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(12)
    for column, (over, points) in enumerate(sweeps.items()):
        for row, (cost, title) in enumerate(costs.items()):
            left, top = column * wide + margin, row * high + margin
            right, bottom = (column + 1) * wide - 16, (row + 1) * high - 40
            factor = 1000 if cost == "seconds_per_image" else 1
            x = [math.log(point[over]) for point in points]
            y = [math.log(factor * point[cost]) for point in points]
            low, span = min(y), max(max(y) - min(y), 0.1)
            places = [
                (left + (a - x[0]) / (x[-1] - x[0]) * (right - left), bottom - (b - low) / span * (bottom - top))
                for a, b in zip(x, y, strict=True)
            ]
            pen.rectangle((left - 6, top - 6, right + 6, bottom + 6), outline=(225, 225, 225))
            pen.line(places, (30, 90, 170), 2)
            for (across, down), point in zip(places, points, strict=True):
                pen.circle((across, down), 3, (30, 90, 170))
                pen.text((across, bottom + 10), str(point[over]), (40, 40, 40), font=font, anchor="ma")
                pen.text((across, down - 18), f"{factor * point[cost]:.2g}", (40, 40, 40), font=font, anchor="ma")
            pen.text((left, top - 34), f"{title} over {over}: slope {slopes[over][cost]:.2f}", (40, 40, 40), font=font)
    return paper


def main() -> None:
    """Measure every point, then write the file and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure_here(options.case, options.seconds)), flush=True)
        os._exit(0)  # gloo sometimes aborts on its way out
    sweeps = {
        over: [measure_apart(BASE | {over: value}, options.seconds) for value in values]
        for over, values in SWEEPS.items()
    }
    teams = [measure_apart(BASE | team, options.seconds) for _ in range(REPEATS) for team in TEAMS]
    costs = ("seconds_per_image", "peak_gib")
    slopes = {over: {cost: slope(points, over, cost) for cost in costs} for over, points in sweeps.items()}
    figures = {"base": BASE, "sweeps": sweeps, "slopes": slopes, "teams": teams}
    save_result("scaling", figures, seed=0, folder=options.results)
    picture(sweeps, slopes).save(options.results / "scaling.png")


if __name__ == "__main__":
    main()
