"""How many rows a second `gandem sample RUN --out rows.parquet` draws and writes, starting Python aside.

    gandem train adult.csv --out runs/adult --budget 600k
    python benchmarks/drawing.py --run runs/adult

On one thread and on all; of the processor's seconds and of the clock's. Leaves benchmarks/results/drawing.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from measured import RESULTS, save_result

import gandem
from gandem.uses.sample import write_samples

WHERE = "", "age>=60", "sex=Female age>=40 income=>50K"


def drawn(run: Path, out: Path, count: int, conditions: str, repeats: int) -> dict[str, Any]:
    """Return the least seconds of the processor and of the clock."""
    taken = []
    for _ in range(repeats):
        began = time.process_time(), time.perf_counter()
        write_samples(gandem.open_run(run), out, count=count, where=conditions.split() or None)
        taken.append((time.process_time() - began[0], time.perf_counter() - began[1]))
    cpu, clock = (min(each) for each in zip(*taken, strict=True))
    return {"conditions": conditions, "threads": torch.get_num_threads(), "cpu_seconds": cpu, "seconds": clock}


def main() -> None:
    """Draw rows, free and on conditions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--where", nargs="*", default=WHERE, help="conditions, with spaces between several")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    run, every = gandem.open_run(given.run), torch.get_num_threads()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.parquet"
        write_samples(run, out, count=2_000)  # what is loaded once does not count
        for threads in sorted({1, every}):
            torch.set_num_threads(threads)
            found += [drawn(given.run, out, given.count, where, given.repeats) for where in given.where]
    figures = {"count": given.count, "columns": len(run.codec.fields), "file": "parquet", "repeats": given.repeats}
    print(save_result("drawing", figures | {"drawn": found}, seed=0, folder=given.results))


if __name__ == "__main__":
    main()
