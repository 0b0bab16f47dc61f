"""Rows on conditions: are they met, and is the rest of the row as it is in real rows that meet them?

    gandem train adult.csv --out runs/adult --budget 600k
    python benchmarks/conditions.py --run runs/adult --data adult.csv

Twenty random conditions, on one to three columns: categories, and ranges of numbers, that at least FEWEST real rows
meet. For each, the share of rows that meet it, and the total variation between made and real rows of every other column
(numbers in ten parts), averaged over columns; beside it the same between two halves of the real rows, half as many
each, which is what counts of this size make out of nothing. Leaves benchmarks/results/conditions.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measured import RESULTS, save_result

import gandem

FEWEST, PARTS = 400, 10


def drawn(frame: pl.DataFrame, rng: np.random.Generator) -> tuple[list[str], pl.Expr]:
    """Return conditions on one to three columns, as text and as polars has them."""
    names = rng.permutation(frame.columns)[: rng.integers(1, 4)]
    texts, meets = [], pl.lit(True)
    for name in map(str, names):
        if frame[name].dtype == pl.String:
            value = str(rng.choice(frame[name].drop_nulls().to_numpy()))
            texts.append(f"{name}={value}")
            meets &= pl.col(name).eq_missing(value)
        else:
            low, high = np.sort(rng.choice(frame[name].to_numpy(), 2))
            texts += [f"{name}>={low}", f"{name}<={high}"]
            meets &= pl.col(name).is_between(low, high)
    return texts, meets


def variation(made: pl.DataFrame, real: pl.DataFrame, name: str) -> float:
    """Return the total variation of one column; a missing value is a value."""
    if real[name].dtype == pl.String:
        one, other = (frame[name].fill_null("").to_numpy().astype(str) for frame in (made, real))
    else:
        numbers = [frame[name].cast(pl.Float64).fill_null(-1e18).to_numpy() for frame in (made, real)]
        edges = np.unique(np.quantile(numbers[1], np.linspace(0, 1, PARTS + 1)))[1:-1]
        one, other = (np.searchsorted(edges, each, side="right") for each in numbers)
    known = np.unique(np.concatenate([one, other]))
    shares = [np.bincount(np.searchsorted(known, each), minlength=len(known)) / len(each) for each in (one, other)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def main() -> None:
    """Ask for twenty conditions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    run, rng = gandem.open_run(options.run), np.random.default_rng(options.seed)
    learnt = list(run.codec.names)
    real = pl.read_csv(options.data, infer_schema_length=None)
    texts = [name for name in real.columns if real[name].dtype == pl.String]
    real = real.with_columns(pl.col(texts).str.strip_chars().replace("?", None)).select(learnt)
    rows: list[dict[str, Any]] = []
    while len(rows) < 20:
        asked, meets = drawn(real, rng)
        those = real.filter(meets)
        if len(those) < FEWEST or len(those) > 0.9 * len(real):
            continue
        told = run.told(options.count, asked, options.seed)
        made = run.codec.given(run.made(told, options.count, options.seed)[0]).select(learnt)
        others = [name for name in learnt if not any(text.startswith(name) for text in asked)]
        halves = those.sample(len(those), shuffle=True, seed=0)
        half = len(halves) // 2
        found = {
            "asked": asked,
            "real_rows": len(those),
            "share": len(those) / len(real),
            "chance": told.chance,
            "met": made.filter(meets).height / len(made),
            "variation": float(np.mean([variation(made, those, name) for name in others])),
            "real_halves": float(np.mean([variation(halves[:half], halves[half:], name) for name in others])),
        }
        rows.append(found)
        print(found, flush=True)
    figures = {"conditions": rows, "count": options.count}
    for key in ("met", "variation", "real_halves"):
        figures[f"mean_{key}"] = float(np.mean([row[key] for row in rows]))
    print({key: value for key, value in figures.items() if key.startswith("mean")})
    save_result("conditions", figures, seed=options.seed, folder=options.results)


if __name__ == "__main__":
    main()
