"""Does the judge for tables tell good rows from worthless and from copied ones?

    python benchmarks/judging_rows.py --sets adult german_credit mammography credit_default_uci

The distinct rows of a table are divided into what a generator would have been trained on (half), what is held out (a
quarter) and fresh rows (a quarter). Judged are, in the place of generated rows: the fresh rows, which are the best
there is; the training rows with every column shuffled by itself; and the training rows themselves. Writes JSON to
--results.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from measured import RESULTS, save_result

import gandem

TARGETS = {
    "adult": "income",
    "credit_default_uci": "default.payment.next.month",
    "german_credit": "credit_risk",
    "mammography": "class",
}
Rows = list[list[str]]


def divided(source: Path, folder: Path, most: int, seed: int) -> None:
    """Write train, test, fresh, shuffled and copied rows of a table as CSV files."""
    with source.open(newline="") as file:
        head, *rows = csv.reader(file)
    distinct = [list(row) for row in dict.fromkeys(map(tuple, rows))]
    rng = random.Random(seed)
    rng.shuffle(distinct)
    distinct = distinct[:most]
    quarter = len(distinct) // 4
    training = distinct[: 2 * quarter]
    columns = [list(column) for column in zip(*training, strict=True)]
    for column in columns:
        rng.shuffle(column)
    parts: dict[str, Rows] = {
        "train": training,
        "test": distinct[2 * quarter : 3 * quarter],
        "fresh": distinct[3 * quarter :],
        "shuffled": [list(row) for row in zip(*columns, strict=True)],
        "copied": training,
    }
    for name, part in parts.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *part])


def judged(folder: Path, name: str, target: str) -> dict[str, Any]:
    """Judge one file and return the numbers that matter."""
    began = time.process_time()
    facts = gandem.evaluate(
        folder / f"{name}.csv", folder / "train.csv", held_out=folder / "test.csv", target=target, out=None
    )
    found = facts["examination"]["table"]
    privacy, ratio = found["privacy"], found["global_utility"]["ratio"]
    return {
        "verdict": facts["verdict"]["verdict"],
        "rows": facts["counts"]["generated"],
        "cpu_seconds": round(time.process_time() - began, 1),
        "two_sample": {each: row["two_sample"]["auc"] for each, row in found["rows"].items()},
        "pair_trends": {each: row["pairs"]["mean"] for each, row in found["rows"].items()},
        "utility": found["utility"]["figures"],
        "global_utility": ratio,
        "attack": {each: privacy[each]["highest"] for each in ("generated", "copier", "independent")},
        "controls_work": privacy["works"],
    }


def main() -> None:
    """Judge the three kinds of rows of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--most", type=int, default=1_000_000, help="distinct rows that are used at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    for name in options.sets:
        figures: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            divided(Path(options.data) / "tables" / f"{name}.csv", Path(folder), options.most, options.seed)
            for made in ("fresh", "shuffled", "copied"):
                figures[made] = judged(Path(folder), made, TARGETS[name])
                best = figures[made]["two_sample"]["generated"]["value"]
                print(f"{name:20} {made:9} {figures[made]['verdict']:20} AUC {best:.3f}", flush=True)
        save_result(f"judging-rows-{name}", figures, seed=options.seed, folder=options.results)


if __name__ == "__main__":
    main()
