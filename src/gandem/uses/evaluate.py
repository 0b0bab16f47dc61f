"""How good is a generator, or a set of samples? All numbers of the judge, a verdict, and pictures to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from gandem.conditions import Told
from gandem.domains import domain_of
from gandem.domains.domain import Codec, Dataset, Domain, Features, Judged, Section
from gandem.domains.given import Given, opened, path_of
from gandem.errors import JudgeError, RecipeError, RunError
from gandem.holdout import digests
from gandem.judge.figure import Figure
from gandem.judge.judgement import FEWEST, Copying, Judgement, judge
from gandem.judge.usefulness import usefulness
from gandem.judge.verdict import Verdict, improvement
from gandem.recipe import Recipe
from gandem.referee.referee import SETTLED_END
from gandem.run import Model, Run

COUNT = 10_000
"""Samples that are judged, if there are as many held-out real ones."""
COPY_COUNT, TRAINING_COUNT = 1_000, 20_000
"""Samples that are looked at in all variants for copies, and training samples among which these are looked for."""
AT_ONCE, MOST_BYTES = 512, 500_000_000
"""Samples that are in memory as floats at a time, and bytes of one set of decoded samples."""
SHOWN, PAIRS = 64, 8
"""Samples in a picture, and closest pairs."""
TELL_SECONDS = 2.0
"""Between two words on how far the comparison is."""
MOST_LOST = 0.01
"""Share of generated samples that may be unreadable; to judge the others alone would be to praise what is left."""

Tell = Callable[[str], None]
Samples = tuple[np.ndarray, np.ndarray | None]
"""Decoded samples (n, ...), and labels int64 (n,) if any."""


class _Looking:
    """Features that look at every different sample once: many play two parts, and one floor is a single image."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self._known: dict[int, torch.Tensor] = {}

    def __call__(self, samples: np.ndarray) -> torch.Tensor:
        """Return float64 (n, d)."""
        keys = digests(np.ascontiguousarray(sample).data for sample in samples).tolist()
        new = {key: at for at, key in enumerate(keys) if key not in self._known}
        if new:
            self._known.update(zip(new, self.features(samples[list(new.values())]), strict=True))
        return torch.stack([self._known[key] for key in keys])


@dataclass(frozen=True)
class Evaluation:
    """The verdict, all facts in plain JSON types, pictures by name, and the domain's part of the page."""

    verdict: Verdict
    facts: dict[str, Any]
    pictures: dict[str, Image]
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class _Sets:
    """Who is compared with whom. real: other real samples, among them those trained on; the judge's ceiling.

    trained: whether it is known that `real` was trained on, and that no held-out sample was. report: of the generated
    samples, where they were read.
    improvement: what the training of a run still gained at its end, if it told. judged_by: other data than the run was
    trained on.
    """

    domain: Domain
    codec: Codec
    classes: tuple[str, ...]
    generated: Callable[[int], Samples]
    available: int
    real: Dataset
    held_out: Dataset
    trained: bool
    report: dict[str, Any] = field(default_factory=dict)
    improvement: Figure | None = None
    judged_by: str | None = None


def evaluate(
    made: Run | Given,
    real: Given = None,
    *,
    held_out: Given = None,
    count: int = COUNT,
    features: str | Path | None = None,
    target: str | None = None,
    seed: int = 0,
    tell: Tell = lambda doing: None,
) -> Evaluation:
    """Judge a run, or samples as files, against real samples that no generator has seen.

    made: a run, or samples in any form that `train` takes. real: real samples; for a run, None takes the data it
    was trained on and judges by the part that was held out. Other real data are divided into halves, one to judge by
    and one as the ceiling, in which copies are looked for too. held_out: for samples whose generator was trained on
    `real`, other real samples to judge by instead. count: how many samples are judged at most.
    features: weights of the user's own, as `--features` takes them. target: the column of a table to predict.
    """
    began = time.monotonic()
    tell("reading the data")
    if isinstance(made, Run) and held_out is not None:
        raise RunError("a run holds out its own samples: leave --held-out out, or judge samples that it wrote")
    sets = _of_run(made, real, seed) if isinstance(made, Run) else _of_samples(made, real, held_out)
    return _evaluate(sets, count, features, target, seed, tell, began)


def evaluate_run(run: Run, training: Dataset, held_out: Dataset, *, count: int, tell: Tell) -> Evaluation:
    """Judge a run whose data are in memory already."""
    seed = run.recipe.training.seed
    made = _made_by(run, training, seed)
    improved = _improvement(run)
    sets = _Sets(
        run.domain,
        run.codec,
        run.spec.labels,
        made,
        training.count,
        training,
        held_out,
        trained=True,
        improvement=improved,
    )
    return _evaluate(sets, count, None, None, seed, tell, time.monotonic())


def _evaluate(
    sets: _Sets, count: int, features: str | Path | None, target: str | None, seed: int, tell: Tell, began: float
) -> Evaluation:
    extractor = sets.domain.features(sets.codec, None if features is None else Path(features))
    n = min(count, sets.available, sets.real.count, sets.held_out.count, _fitting(sets.real))
    held_rows, seen_held = _unlearnt(sets.held_out, n, seed, extractor)
    real_rows, seen_real = _unlearnt(sets.real, n, seed + 1, extractor)
    n = min(n, len(held_rows), len(real_rows))
    facts: dict[str, Any] = {
        "schema_version": 1,
        "counts": {"generated": n, "real": n, "held_out": len(held_rows), "learnt_by_features": seen_held + seen_real},
        "seed": seed,
    } | ({} if sets.judged_by is None else {"judged_by": sets.judged_by})
    if lost := sets.report.get("skipped", {}).get("count"):
        facts["counts"]["left_out"] = lost
    if n < FEWEST:
        verdict = Verdict.cannot_tell(min(count, sets.available), min(len(held_rows), len(real_rows)))
        return Evaluation(verdict, facts | {"verdict": verdict.to_dict()}, _shown(sets, held_rows[:SHOWN]))
    tell(f"making {n:,} samples")
    generated, labels = sets.generated(n)
    held_out, held_labels = sets.held_out.samples(held_rows[:n])
    known, known_labels = sets.real.samples(real_rows[:n])
    rows = _some(sets.real.count, max(n, TRAINING_COUNT), seed + 1)
    tell("looking at them")
    lost = sets.domain.floors(known, seed)
    examination = sets.domain.examination(_judged(sets, generated, known, held_out, lost, seed), target, seed)
    extract = _Looking(extractor)
    seen = {"generated": extract(generated), "held-out": extract(held_out), "real": extract(known)}
    seen["known"] = torch.cat([extract(sets.real.samples(part)[0]) for part in rows.split(AT_ONCE)])
    floors = {name: extract(samples) for name, samples in lost.items()}
    tell("comparing them")
    varied = [sets.domain.variants(samples[:COPY_COUNT], sets.real) for samples in (generated, held_out)]
    ours, theirs = (torch.cat([extract(samples) for samples in variants]) for variants in varied)
    try:
        copying = Copying.of(ours, seen["known"], theirs, len(varied[0]))
        judgement = _compared(seen, floors, copying, sets.domain.compared, seed, tell)
    except JudgeError as error:  # such as data of a few samples over and over
        verdict = Verdict("cannot tell", {}, str(error))
        shown = _shown(sets, held_rows[:SHOWN])
        return Evaluation(verdict, facts | {"verdict": verdict.to_dict()}, shown, examination.sections)
    verdict = Verdict.of(judgement, sets.improvement, evidence=examination.evidence)
    facts |= {
        "verdict": verdict.to_dict(),
        "features": {"name": extractor.name, "fingerprint": extractor.fingerprint},
        "judgement": judgement.to_dict(),
        "classes": list(sets.classes),
    }
    facts["counts"] |= {
        "held_out": len(held_out),
        "compared": min(n, sets.domain.compared),
        "looked_for_copies": len(rows),
    }
    if labels is not None and known_labels is not None and held_labels is not None:
        tell("learning from them")
        labelled = [
            (seen[name], torch.from_numpy(told))
            for name, told in (("generated", labels), ("real", known_labels), ("held-out", held_labels))
        ]
        facts["usefulness"] = usefulness(*labelled, seed=seed).to_dict()
    if examination.facts:
        facts["examination"] = examination.facts
    facts["seconds"] = round(time.monotonic() - began, 1)
    copied = sets.real.samples(rows[copying.pairs.training[:PAIRS]])[0]
    pictures = _pictures(sets, generated, held_out, copied, copying)
    return Evaluation(verdict, facts, pictures, examination.sections)


def _compared(
    seen: dict[str, torch.Tensor], floors: dict[str, torch.Tensor], copying: Copying, most: int, seed: int, tell: Tell
) -> Judgement:
    """Compare the features of so many samples of each kind at most; say how far it is where that takes long."""
    told = time.monotonic()

    def rounds(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            tell(f"comparing them, round {done} of {of}")

    generated, held_out, real = (seen[name][:most] for name in ("generated", "held-out", "real"))
    lower = {name: features[:most] for name, features in floors.items()}
    return judge(generated, held_out, real=real, floors=lower, copying=copying, seed=seed, tell=rounds)


def _judged(
    sets: _Sets,
    generated: np.ndarray,
    real: np.ndarray,
    held_out: np.ndarray,
    floors: dict[str, np.ndarray],
    seed: int,
) -> Judged:
    """Return what a domain examines."""

    def training(count: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = _some(sets.real.count, count, seed + 1)
        return sets.real.samples(chosen)[0], sets.real.rows[chosen].numpy()

    def more(count: int) -> np.ndarray:
        return sets.generated(min(count, sets.available))[0]

    drawn_from = training if sets.trained else None
    return Judged(sets.codec, generated, real, held_out, floors, more, drawn_from, sets.report)


def _pictures(
    sets: _Sets, generated: np.ndarray, held_out: np.ndarray, copied: np.ndarray, copying: Copying
) -> dict[str, Image]:
    domain, codec = sets.domain, sets.codec
    pairs = np.concatenate([generated[copying.pairs.generated[:PAIRS]], copied])
    return {
        "generated": domain.preview(generated[:SHOWN], codec),
        "real": domain.preview(held_out[:SHOWN], codec),
        "closest": domain.preview(pairs, codec, len(copied)),
    }


def _shown(sets: _Sets, held_rows: torch.Tensor) -> dict[str, Image]:
    """Return what can be looked at where nothing can be judged."""
    shown = {"generated": sets.generated(min(SHOWN, sets.available))[0]} if sets.available else {}
    shown |= {"real": sets.held_out.samples(held_rows)[0]} if len(held_rows) else {}
    return {name: sets.domain.preview(samples, sets.codec) for name, samples in shown.items()}


def _of_run(run: Run, real: Given, seed: int) -> _Sets:
    source = run.data_report["path"] if real is None else real
    if source is None:
        what = "is a model file, which holds no data" if isinstance(run, Model) else "was trained on data in memory"
        raise RunError(f"{run.path} {what}: say what to judge it by, --real SOURCE or in Python real=data")
    data = _read(source, run.domain, run.recipe, None if real is None else run.codec)
    own = data.fingerprint == run.data_report["fingerprint"]
    if real is not None and own:
        data = _read(source, run.domain, run.recipe)
    if real is None and not own:
        raise RunError(f"{source} has changed since {run.path} was trained on it; say --real with the data to judge by")
    known, held_out = data.split(float(run.recipe.data.held_out) if own else 0.5, run.codec)
    made = _made_by(run, known, seed)
    sets = _Sets(run.domain, run.codec, run.spec.labels, made, known.count, known, held_out, own)
    return replace(sets, improvement=_improvement(run), judged_by=None if own else str(path_of(source) or "other data"))


def _improvement(run: Run) -> Figure | None:
    """Return what the training still gained; nothing of one that settled, since cooling down gains but once."""
    told = run.report.get("referee", {})
    return None if told.get("ended") == SETTLED_END else improvement(told.get("judgements", []))


def _made_by(run: Run, data: Dataset, seed: int) -> Callable[[int], Samples]:
    """Return a function that makes n samples, with the classes as frequent as in the data, if it has the same ones."""
    same = data.spec.labels == run.spec.labels

    def generated(n: int) -> Samples:
        labels = data.samples(_some(data.count, n, seed))[1] if same else None
        told = _told(run, n, seed) if labels is None else Told(torch.from_numpy(labels))
        samples, classes = run.made(told, n, seed)
        return samples, classes if same else None

    return generated


def _told(run: Run, count: int, seed: int) -> Told:
    """Return what the generator is told: nothing, where so many samples cannot be as different as they must be."""
    try:
        return run.told(count, None, seed)
    except RecipeError:
        return Told(None)


def _of_samples(made: Given, real: Given, unseen: Given) -> _Sets:
    if real is None:
        raise RunError(
            f"{path_of(made) or 'this'} is not a run folder; to judge samples say what is real: --real SOURCE"
        )
    domain = domain_of(opened(real))
    data = _read(real, domain, Recipe())
    samples = _read(made, domain, Recipe(), data.codec)
    lost = samples.report.get("skipped", {}).get("count", 0)
    if lost > MOST_LOST * (samples.count + lost):
        raise JudgeError(
            f"{path_of(made) or 'these samples'}: {lost:,} of {samples.count + lost:,} cannot be read or hold NaN; a "
            "generator that makes such is not to be used. To judge the others, take those out yourself"
        )
    if samples.spec.shape != data.spec.shape:
        raise RunError(f"samples of shape {samples.spec.shape} cannot be judged by real ones of {data.spec.shape}")
    halves = unseen is None  # in the form in which the samples were read
    known, held_out = data.split(0.5, data.codec) if halves else (data, _read(unseen, domain, Recipe(), data.codec))
    if held_out.spec != data.spec:
        raise RunError(f"{path_of(unseen) or 'what is held out'} has other sizes or classes than the real samples")
    labelled = bool(data.spec.labels) and set(samples.spec.labels) <= set(data.spec.labels)
    number = torch.tensor([data.spec.labels.index(name) for name in samples.spec.labels] if labelled else [])

    def generated(n: int) -> Samples:
        images, labels = samples.samples(_some(samples.count, n, 0))
        return images, None if labels is None or not labelled else number[torch.from_numpy(labels)].numpy()

    return _Sets(
        domain,
        data.codec,
        data.spec.labels,
        generated,
        samples.count,
        known,
        held_out,
        trained=unseen is not None,
        report=samples.report,
    )


def _read(source: Given, domain: Domain, recipe: Recipe, codec: Codec | None = None) -> Dataset:
    """Read a source that must be of a domain, in the form of a codec if there is one."""
    given = opened(source)
    if (other := domain_of(given)) is not domain:
        raise RunError(f"{given} holds {other.noun}, not {domain.noun} as the others do; judge like with like")
    return domain.read(given, recipe.data) if codec is None else domain.matching(given, codec, recipe.data)


def _fitting(data: Dataset) -> int:
    """Return how many decoded samples may be in memory at a time."""
    if not data.count:  # all copies of one sample, which lie on the other side
        return 0
    return max(MOST_BYTES // max(data.samples(torch.zeros(1, dtype=torch.long))[0].nbytes, 1), FEWEST)


def _unlearnt(data: Dataset, count: int, seed: int, extract: Features) -> tuple[torch.Tensor, int]:
    """Return `count` rows in random order that the features have not learnt from, and how many were passed over."""
    kept, passed, found = [], 0, 0
    for rows in _some(data.count, data.count, seed).split(AT_ONCE):
        unlearnt = rows[torch.from_numpy(~extract.learnt_from(data.samples(rows)[0]))]
        passed += len(rows) - len(unlearnt)
        found += len(unlearnt)
        kept.append(unlearnt)
        if found >= count:
            break
    return torch.cat(kept)[:count] if kept else torch.zeros(0, dtype=torch.long), passed


def _some(count: int, wanted: int, seed: int) -> torch.Tensor:
    """Return `wanted` of the numbers below `count`, or all of them, in random order."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:wanted]
