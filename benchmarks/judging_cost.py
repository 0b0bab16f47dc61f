"""What does it cost to judge a training: all quick judgements on its way, and the final one?

    python benchmarks/judging_cost.py fashion --minutes 10

Seconds as the training itself notes them, in events.jsonl and report.json. Leaves benchmarks/results/cost-<task>.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from measured import RESULTS, save_result
from sources import TASKS, load_task, write_training_file
from stopping import judging_seconds

import gandem


def main() -> None:
    """Train once with the defaults and add up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()

    task = load_task(options.task, options.data)
    source = write_training_file(task, options.work / f"{task.name}-training.npz")
    out = options.work / f"{task.name}-cost"
    shutil.rmtree(out, ignore_errors=True)
    settings = {"data.mirror": task.mirror}
    run = gandem.train(source, out, budget=f"{options.minutes:g}m", seed=options.seed, settings=settings)
    found = judging_seconds(run) | {"minutes": options.minutes, "ended": run.report["referee"]["ended"]}
    found |= {"set": task.name, "judged": run.report["referee"]["judgements"]}
    print({key: value for key, value in found.items() if key != "judged"})
    save_result(f"cost-{task.name}", found, seed=options.seed, folder=options.results)


if __name__ == "__main__":
    main()
