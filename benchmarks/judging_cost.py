"""What does it cost to judge a training: all quick judgements on its way, and the final one?

    python benchmarks/judging_cost.py fashion --minutes 10
    OMP_NUM_THREADS=1 python benchmarks/judging_cost.py fashion --run runs/benchmarks/fashion-cost

Seconds as the training itself notes them, in events.jsonl and report.json. Leaves benchmarks/results/cost-<task>.json.
With --run the final judgement of a finished run is made again, three times, and processor seconds are counted: a core
that is shared does not change them much. Leaves benchmarks/results/final-judgement-<task>.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

import torch._dynamo  # noqa: F401  (a training that ends has imported it: two seconds that are not the judgement's)
from measured import RESULTS, save_result
from sources import TASKS, load_task, write_training_file
from stopping import judging_seconds

import gandem
from gandem.domains.given import opened
from gandem.session import AT_THE_END
from gandem.uses.evaluate import evaluate_run


def main() -> None:
    """Train once with the defaults and add up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--run", type=Path, help="judge this run again")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.run:
        runs = [judged_again(options.run) for _ in range(3)]
        print(*runs, sep="\n")
        save_result(f"final-judgement-{options.task}", {"set": options.task, "runs": runs}, folder=options.results)
        return

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


def judged_again(path: Path) -> dict[str, float]:
    """Judge a run as at its end and return the processor seconds of every stage."""
    run = gandem.open_run(path)
    data = run.domain.read(opened(run.data_report["path"]), run.recipe.data)
    training, held_out = data.split(float(run.recipe.data.held_out), run.codec)
    stages, began = ["preparing"], [time.process_time()]

    def tell(stage: str) -> None:
        stages.append(stage)
        began.append(time.process_time())

    evaluate_run(run, training, held_out, count=AT_THE_END, tell=tell)
    ends = [*began[1:], time.process_time()]
    spent = {stage: round(end - start, 2) for stage, start, end in zip(stages, began, ends, strict=True)}
    return {"whole": round(ends[-1] - began[0], 2)} | spent


if __name__ == "__main__":
    main()
