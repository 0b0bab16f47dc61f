"""Does synthetic data help? An experiment with an answer, instead of an assumption.

The engine (experiment, verdict, statistics) knows rows, labels, arms and learners, neither GANs nor tables.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gandem.augmentation.problem import MARGIN
from gandem.errors import Interrupted, RecipeError, optional
from gandem.recording import Watch
from gandem.run import locked
from gandem.training.budget import parse_budget

if TYPE_CHECKING:
    from gandem.augmentation.folder import Folder
    from gandem.augmentation.source import Source
    from gandem.augmentation.splits import Split

MODEL = "model"
"""The run folder of the generator that made the rows, where the answer is HELPS."""
WORK = ".work"


def augment(
    source: Any,
    target: str,
    *,
    group: str | None = None,
    learner: Any = None,
    budget: str = "1m",
    folds: int = 5,
    repeats: int = 4,
    margin: float = MARGIN,
    seed: int = 0,
    out: str | Path | None = None,
    generator: Any = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Find out whether synthetic rows help to learn a target, and return the answer with every number behind it.

    source: a table (path or DataFrame), or labelled pictures or arrays in any form that `train` takes, or a `Problem`.
    target: the column to learn; "labels" for pictures and arrays. group: a column whose equal values stay together.
    learner: a scikit-learn classifier, or "module:Class"; boosted trees and logistic regression, for pictures a small
    network and logistic regression, if not given. budget: of the generator's training in one fold; a time is turned
    into samples shown once, so that folds do not depend on the clock. margin: difference of the AUC that matters.
    out: folder of the answer; the same call goes on where it was stopped. generator: in place of gandem's own, anything
    with fit(rows, labels, categorical, seed) -> sampler and sampler(n, label, seed) -> (rows, labels).
    Returns the facts of augmentation.json. Raises GandemError in one line; Interrupted when it is stopped.
    """
    for module in ("polars", "sklearn", "imblearn"):
        optional(module, "augment")
    from gandem.augmentation import learners, problem, splits
    from gandem.augmentation.folder import Folder
    from gandem.augmentation.source import bare, read

    target, group = str(target), None if group is None else str(group)  # arrays as data frames have numbers for names
    parse_budget(budget)
    problem.must_be_counts(folds, repeats, margin)
    if not 0 <= seed < 2**31:
        raise RecipeError(f"--seed {seed}: must lie between 0 and 2^31")
    given = None if learner is None else (learners.own(learner),)
    tell = watch or (lambda event: None)
    what = bare(source) if isinstance(source, problem.Problem) else read(source, target, group)
    asked = what.problem
    asked.check(folds)
    parts = list(splits.splits(asked, folds, repeats, seed))
    who = given or learners.defaults(asked.pictures)
    question = {
        "source": asked.name,
        "target": target,
        "group": group,
        "learners": [each.name for each in who] if learner is None or isinstance(learner, str) else [repr(learner)],
        "generator": "gandem" if generator is None else type(generator).__name__,
        "budget": budget,
        "folds": folds,
        "repeats": repeats,
        "margin": margin,
        "seed": seed,
        "fingerprint": asked.fingerprint,
    }
    stem = f"{Path(asked.name).name.split('.')[0].replace(' ', '-') or 'rows'}-augment"
    path = Path(out) if out is not None else Folder.free(Path("runs"), stem, question)
    folder = Folder.opened(path, question)
    try:
        with locked(folder.path):
            return _answered(what, folder, parts, who, generator, tell)
    except (Interrupted, KeyboardInterrupt) as stopped:
        shutil.rmtree(folder.path / WORK, ignore_errors=True)
        signal = stopped.signal if isinstance(stopped, Interrupted) else "SIGINT"
        done = f"{len(folder.records)} of {folds * repeats} folds"
        raise Interrupted(signal, 0, folder.path, f"the same command with --out {folder.path}", done) from None


def _answered(
    source: Source, folder: Folder, parts: list[Split], who: Any, generator: Any, tell: Watch
) -> dict[str, Any]:
    """Play the folds that are not finished, judge all of them, and write what the answer calls for."""
    from gandem.augmentation import gan, page, verdict
    from gandem.augmentation.arms import Training
    from gandem.augmentation.experiment import Experiment
    from gandem.augmentation.folder import FACTS, PAGE
    from gandem.run import read_json, write_json

    question, problem = folder.question, source.problem
    if (folder.path / FACTS).is_file():
        known = read_json(folder.path / FACTS)
        tell({"event": "augmented", "path": str(folder.path), "text": page.lines(known, folder.path / PAGE)})
        return known
    progress = _Progress(tell, question["folds"] * question["repeats"], len(folder.records))
    tell({"event": "augmenting", "text": [_said(problem, question), *source.notes]})
    ours = generator is None
    if ours:
        if "plan" not in folder.question:
            first = Training(problem.rows[parts[0].fit], problem.labels[parts[0].fit])
            plan = gan.Plan.of(first, problem.classes, source.form, question["budget"])
            folder.note(plan=vars(plan))
        plan = gan.Plan(**folder.question["plan"])
        generator = gan.Gan(folder.path / WORK, plan, problem.classes, source.form, progress.generator)
    experiment = Experiment.of(problem, generator, who)
    for number in range(len(folder.records), len(parts)):
        began = time.monotonic()
        record = experiment.play(parts[number], progress.doing)
        folder.add({"fold": number, **record, "seconds": round(time.monotonic() - began, 3)})
        progress.finished()
    shutil.rmtree(folder.path / WORK, ignore_errors=True)
    facts = {"schema_version": 1, **verdict.verdict(folder.records, question["margin"])}
    facts |= {"question": folder.question, "counts": dict(zip(problem.classes, problem.counts.tolist(), strict=True))}
    facts |= {"notes": list(source.notes), "noun": problem.noun, "files": []}
    facts |= {"sentence": verdict.sentence(facts), "worth_said": verdict.worth(facts)}
    page.write(facts, folder.path / PAGE)  # the answer comes before what is made of it
    if facts["verdict"] == verdict.HELPS:
        progress.doing("the generator learns from all rows")
        facts["files"] = _kept(source, folder, generator, ours, facts)
        page.write(facts, folder.path / PAGE)
    write_json(folder.path / FACTS, facts)
    tell({"event": "augmented", "path": str(folder.path), "text": page.lines(facts, folder.path / PAGE)})
    return facts


def _kept(source: Source, folder: Folder, generator: Any, ours: bool, facts: dict[str, Any]) -> list[str]:
    """Train on every row, and write the augmented set and the model that made it; return the names of both."""
    from gandem.augmentation.arms import Training, generated

    problem, seed = source.problem, folder.question["seed"]
    if ours:
        generator.folder = folder.path / MODEL
    sampler = generator.fit(problem.rows, problem.labels, problem.categorical, seed)
    learner = next(iter(facts["learner"]))
    amount = max(facts["amounts"][learner], key=facts["amounts"][learner].__getitem__)
    both = generated(sampler, Training(problem.rows, problem.labels), len(problem.classes), amount, seed)
    count = len(problem.labels)
    written = source.write(folder.path, both.rows[count:], both.labels[count:])
    return [written.name, *([MODEL] if ours else [])]


def _said(problem: Any, question: dict[str, Any]) -> str:
    count = question["folds"] * question["repeats"]
    return (
        f"{len(problem.labels):,} {problem.noun} of {problem.name}, {len(problem.classes)} classes; "
        f"{count} folds, in each the generator learns for {question['budget']}"
    )


class _Progress:
    """Tells how far the folds are, and the time left once one of them has been timed."""

    def __init__(self, tell: Watch, folds: int, done: int) -> None:
        self.tell, self.folds, self.done, self.first = tell, folds, done, done
        self.began = time.monotonic()

    def doing(self, doing: str) -> None:
        timed = self.done - self.first
        left = None if not timed else (time.monotonic() - self.began) / timed * (self.folds - self.done)
        fold = f"fold {min(self.done + 1, self.folds)} of {self.folds}"
        self.tell(
            {
                "event": "augmenting_fold",
                "doing": f"{fold}: {doing}",
                "progress": self.done / self.folds,
                "eta_seconds": left,
            }
        )

    def generator(self, progress: float) -> None:
        self.doing(f"the generator learns, {progress:.0%}")

    def finished(self) -> None:
        self.done += 1
