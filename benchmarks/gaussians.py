"""Modes of the 25-Gaussian grid and the 8-Gaussian ring that gandem's game finds, by every loss: PacGAN's protocol.

    python benchmarks/gaussians.py --seeds 0 1 2 3 4 5 6 7 8 9
    python benchmarks/gaussians.py --shapes grid --losses relativistic hinge --budget 60s --seeds 0

2,500 generated points of each training: how many modes have a point within three deviations, how many of the points lie
so near one, and the reverse KL divergence of these over the modes (Lin et al. 2018, "PacGAN"). What differs between the
rows is the loss alone, or the budget, where one is given. Leaves benchmarks/results/gaussians-<shape>-<loss>.json, with
-<budget> where one is given, written after every seed; trainings of other seeds that lie there stay, each with its
commit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from measured import RESULTS, commit, load_results, save_result

from gandem.game.losses import LOSSES
from gandem.training.budget import Budget, parse_budget
from gandem.uses.play.playing import learn_shape
from gandem.uses.play.shapes import find_shape

BUDGET = "1.2M"


def play(shape: str, loss: str, budget: Budget, seed: int) -> dict[str, Any]:
    """Play once and say how well it was learnt, and what it took."""
    before = time.process_time()
    played = learn_shape(find_shape(shape), budget, loss=loss, seed=seed)
    return {
        "seed": seed,
        "commit": commit(),
        "steps": played.steps,
        "seconds": played.seconds,
        "processor_seconds": time.process_time() - before,
        **{name.replace(" ", "_"): figure.to_dict() for name, figure in played.figures.items()},
    }


def earlier(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the trainings that result `name` has already."""
    record = load_results(folder).get(name)
    if record is None:
        return []
    return [{"commit": record["commit"]} | row for row in record["figures"]["trainings"]]


def main() -> None:
    """Play every shape with every loss and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=("ring", "grid"), default=["ring", "grid"])
    parser.add_argument("--losses", nargs="+", choices=tuple(LOSSES), default=list(LOSSES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--budget", default=BUDGET, help="of each training: points, or a time such as 90s")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    budget = parse_budget(options.budget)
    for loss in options.losses:
        for shape in options.shapes:
            name = f"gaussians-{shape}-{loss}" + ("" if options.budget == BUDGET else f"-{options.budget}")
            rows = earlier(name, options.results)
            for seed in options.seeds:
                row = play(shape, loss, budget, seed)
                rows = sorted([other for other in rows if other["seed"] != seed] + [row], key=lambda row: row["seed"])
                said = {name: row[name]["value"] for name in ("modes", "high_quality", "reverse_KL")}
                print(shape, loss, {"seed": seed, "seconds": round(row["seconds"], 1)} | said, flush=True)
                figures = {"shape": shape, "loss": loss, "budget": str(budget), "trainings": rows}
                save_result(name, figures, folder=options.results)


if __name__ == "__main__":
    main()
