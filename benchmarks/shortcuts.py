"""Do the shortcuts of the fast step cost quality? The same networks, seeds and number of images, with them and without.

    python benchmarks/shortcuts.py --images 80000 --width 32 --seeds 0 1

"fast" is the default step: bf16, penalties on a quarter of every batch. "plain" is what benchmarks/speed.py times it
against: fp32, penalties on every image. Judged by the distances of benchmarks/images.py, on Fashion-MNIST.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from images import make_judge
from measured import RESULTS, save_result
from sources import load_task, write_training_file

import gandem

ARMS: dict[str, dict[str, Any]] = {
    "fast": {"training.precision": "bf16", "game.penalty_fraction": 0.25},
    "plain": {"training.precision": "fp32", "game.penalty_fraction": 1.0},
}


def main() -> None:
    """Train and judge every arm with every seed, and save one result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=80_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    task = load_task("fashion", options.data)
    source = write_training_file(task, options.work / "fashion-training.npz")
    judging = make_judge(task, options.work)
    rows = []
    for seed in options.seeds:
        for arm, settings in ARMS.items():
            out = options.work / f"shortcuts-{arm}-seed{seed}"
            shutil.rmtree(out, ignore_errors=True)
            run = gandem.train(
                source, out, budget=str(options.images), seed=seed, settings={"network.width": options.width} | settings
            )
            images, _ = run.sample_array(task.count, seed=seed)
            rows.append({"arm": arm, "seed": seed, "seconds": run.report["seconds"]} | judging.distances(images))
            told = [f"{key} {rows[-1][key]['value']:.4f}" for key in ("frechet_distance", "kernel_distance")]
            print(f"{arm}, seed {seed}, {rows[-1]['seconds']:.0f} s: {', '.join(told)}", flush=True)
            figures = {"images": options.images, "width": options.width, "rows": rows}
            save_result("shortcuts", figures, seed=options.seeds[0], folder=options.results)


if __name__ == "__main__":
    main()
