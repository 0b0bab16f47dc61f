"""The commands for data, and for what a training has left."""

from __future__ import annotations

from pathlib import Path

from gandem.cli.app import Budget, Fit, Force, Json, Quiet, Settings, Size, app, report
from gandem.conditions import conditions
from gandem.console import Console, describe
from gandem.options import must_be_free, must_end, read_settings

TABLES = (".csv", ".tsv", ".parquet", ".arrow")


@app.command
def sample(
    run: Path,
    /,
    *,
    out: Path,
    count: int = 16,
    where: list[str] | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    interpolate: int | None = None,
    frames: int = 60,
    ema: float | None = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make new pictures with the generator of RUN.

    Args:
        run: The run folder.
        out: A folder for single PNGs, x.png for one grid, x.npz or x.npy for an array, x.csv or x.parquet for rows of a
            table, x.gif for a walk (with --interpolate).
        count: How many.
        where: One class only, as label=3 or label=Bag; of a table any column that was learnt or that one of those
            determines, as sex=F, and ranges of numbers and dates, as 'age>=60'. May be repeated.
        seed: Equal seeds give equal pictures.
        truncation: Below 1 more typical and less varied, above 1 the reverse.
        interpolate: Walk through so many random points instead, into x.gif; of the first class, unless --where says.
        frames: Frames of that walk.
        ema: Another average of the weights, 0.02 to 0.25 of the training wide, if training.ema_snapshots kept any.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    conditions(where)  # refused before anything is loaded
    must_be_free(out, force)
    import gandem
    from gandem.uses.sample import write_samples

    written = write_samples(
        gandem.open_run(run, ema=ema),
        out,
        count=count,
        where=where,
        seed=seed,
        truncation=truncation,
        interpolate=interpolate,
        frames=frames,
    )
    of_all = f"; {written['chance']:.2%} of all rows meet the conditions" if "chance" in written else ""
    report(written, json) if json else print(f"wrote {out}{of_all}")


@app.command
def impute(
    run: Path,
    source: str,
    /,
    *,
    out: Path,
    seed: int = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fill the gaps of the table SOURCE by what the generator of RUN has learnt.

    Args:
        run: The run folder, or a model file.
        source: A table with the columns of the data that RUN was trained on.
        out: The table to write, .csv, .tsv, .parquet or .arrow.
        seed: Other seeds fill otherwise, as widely as real values vary.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_end(out, TABLES)
    must_be_free(out, force)
    import gandem
    from gandem.uses.rows import gaps_left, write_rows

    opened = gandem.open_run(run)
    filled = gandem.impute(opened, source, seed)
    left = gaps_left(opened, filled)
    written = write_rows(opened, filled, out) | {"gaps_left": left}
    told = f"; {left:,} gap(s) are left: whatever was drawn for them repeats a key" if left else ""
    report(written, json) if json else print(f"wrote {out}{told}")


@app.command
def score(
    run: Path,
    source: str,
    /,
    *,
    out: Path,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say how typical each row of the table SOURCE is, as the generator of RUN has learnt it.

    Args:
        run: The run folder, or a model file.
        source: A table with the columns of the data that RUN was trained on.
        out: The same table with the columns log_likelihood; typical, the part of new rows that are less probable;
            unseen, how many of the row's values the training data never held; and breaks_rules, how many rules of the
            data they contradict.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_end(out, TABLES)
    must_be_free(out, force)
    import gandem
    from gandem.uses.rows import write_rows

    opened = gandem.open_run(run)
    scores = gandem.score(opened, source)
    counts = {name: int((scores[name] > 0).sum()) for name in ("unseen", "breaks_rules")}
    written = write_rows(opened, scores, out) | counts
    told = {"unseen": "hold values that the training data never held", "breaks_rules": "break rules of the data"}
    said = [f"; {counts[name]:,} of {len(scores):,} rows {what}" for name, what in told.items() if counts[name]]
    report(written, json) if json else print(f"wrote {out}{''.join(said)}")


@app.command
def inspect(
    path: Path,
    /,
    *,
    size: Size = None,
    fit: Fit = None,
    set_: Settings = None,
    json: Json = False,
) -> None:
    """Say what a source holds and how it would be read, or how a run went.

    Args:
        path: A source, as for train, or a run folder.
        size: Side in pixels, or HEIGHTxWIDTH; otherwise taken from the pictures.
        fit: How pictures of another shape become that size.
        set_: Change one key of the recipe, as in --set data.channels=1; may be repeated.
        json: Print one JSON object.
    """
    settings = read_settings(set_, size, fit)
    import gandem
    from gandem.run import is_run

    if is_run(path):
        found = gandem.open_run(path).summary()
        lines = describe(found)
    else:
        from gandem.domains import domain_of
        from gandem.domains.given import opened

        source = opened(path)
        with Console(silent=json) as console:
            found = gandem.inspect_source(source, settings=settings, progress=console.reading)
        lines = domain_of(source).lines(found) + describe({"skipped": found["skipped"]["files"]})
    if json:
        report(found, json)
    else:
        print("\n".join(lines))


@app.command
def evaluate(
    made: Path,
    /,
    *,
    real: str | None = None,
    held_out: str | None = None,
    out: Path | None = None,
    count: int = 10_000,
    features: Path | None = None,
    target: str | None = None,
    seed: int = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say how good RUN or a set of samples is: a verdict, the numbers behind it, and a page with pictures.

    Args:
        made: A run folder, or samples in any form that train reads.
        real: Real samples; for a run folder its own held-out part if not given.
        held_out: Real samples to judge by, where those of --real are all that the generator was trained on; only then
            can attacks on training rows be tried out.
        out: The page to write (.html); a run has its own, report.html (by other data report-other.html).
        count: How many samples to judge, if there are as many held-out real ones.
        features: Weights to look with (.onnx or .safetensors) instead of those that ship with gandem.
        target: The column of a table to predict: how well is that learnt from the generated rows?
        seed: Seed of the samples that are drawn.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    if out is not None:
        must_be_free(out, force)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.evaluate(
            made,
            real,
            held_out=held_out,
            out=out,
            count=count,
            features=features,
            target=target,
            seed=seed,
            watch=console,
        )
    report(facts, json)


@app.command
def augment(
    source: str,
    /,
    *,
    target: str,
    group: str | None = None,
    learner: str | None = None,
    budget: Budget = "1m",
    folds: int = 5,
    repeats: int = 4,
    margin: float = 0.01,
    seed: int = 0,
    out: Path | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether synthetic data would help to learn from SOURCE: HELPS, NO DIFFERENCE, HURTS or CANNOT TELL.

    Cross-validated on real rows that no generator has seen, beside what is free: class weights, oversampling, SMOTE.

    Args:
        source: A table (.csv, .tsv, .parquet, .xlsx), or labelled pictures or arrays, as for train.
        target: The column to learn; labels for pictures and arrays.
        group: A column whose equal values stay together, such as the patient.
        learner: A scikit-learn classifier as module:Class; otherwise boosted trees and logistic regression, for
            pictures a small network and logistic regression.
        budget: Of the generator's training in each fold: 90s, 2m, or how many samples to show: 200k.
        folds: Parts of the cross-validation.
        repeats: How often it is divided anew; fewer are faster and find less.
        margin: Difference of the AUC below which nothing is of practical use.
        seed: Seed of everything random.
        out: Folder of the answer; the same command again continues what was stopped.
        json: Print nothing but one JSON object at the end.
        quiet: Print nothing but errors.
    """
    import gandem

    with Console(silent=json or quiet) as console:
        facts = gandem.augment(
            source,
            target,
            group=group,
            learner=learner,
            budget=budget,
            folds=folds,
            repeats=repeats,
            margin=margin,
            seed=seed,
            out=out,
            watch=console,
        )
    report(facts, json)


@app.command
def features(
    source: str,
    /,
    *,
    out: Path,
    steps: int = 1500,
    seed: int = 0,
    size: Size = None,
    fit: Fit = None,
    set_: Settings = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Learn features from your own data, to judge with: for data that look like nothing that others have.

    Then: gandem evaluate RUN --features FILE. What they learnt from is never scored with them.

    Args:
        source: Real data, as for train.
        out: The file to write (.safetensors).
        steps: Steps of training.
        seed: Seed of the first weights.
        size: As in the training whose run is to be judged.
        fit: As in the training whose run is to be judged.
        set_: Change one key of the recipe, as in --set data.channels=1; may be repeated.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    settings = read_settings(set_, size, fit)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.learn_features(source, out, settings=settings, steps=steps, seed=seed, progress=console.reading)
    if json:
        report(facts, json)
    else:
        print(f"wrote {out}, learnt from {facts['images']:,} images; use it with gandem evaluate RUN --features {out}")


@app.command
def play(
    *,
    shape: str = "ring",
    out: Path = Path("play.gif"),
    budget: Budget = "30s",
    loss: str = "relativistic",
    penalty: str = "r1_r2",
    gamma: float | None = None,
    clip: float = 0.0,
    seed: int = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Watch two small networks learn a shape in the plane: the whole game in seconds, as an animation.

    Args:
        shape: ring, grid, spiral or two-moons, or a picture whose dark parts are the shape.
        out: The .gif to write.
        budget: How long: 30s, 2m, or how many points to show: 500k.
        loss: minimax, non_saturating, hinge, ... as in a recipe's game.loss.
        penalty: none, r1, gradient_penalty, ... as in a recipe's game.penalty.
        gamma: Twice the weight of the penalty at the start; otherwise what suits it: 1, which falls to 0.001, or 2
            from beginning to end for gradient_penalty and dragan.
        clip: Largest weight of the discriminator, by clipping after its turns, as in a recipe's game.clip; 0 for any.
        seed: Seed of everything random.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.play(
            shape,
            out,
            budget=budget,
            loss=loss,
            penalty=penalty,
            gamma=gamma,
            clip=clip,
            seed=seed,
            watch=console,
        )
    report(facts, json)


@app.command
def export(
    run: Path,
    /,
    *,
    out: Path,
    ema: float | None = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the generator of RUN as one file: for other programs, or for gandem without the run.

    Args:
        run: The run folder.
        out: x.onnx for other programs, checked against the live generator before it is called done; x.safetensors
            for gandem itself, which samples from it as from a run.
        ema: Another average of the weights, 0.02 to 0.25 of the training wide, if training.ema_snapshots kept any.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_end(out, (".onnx", ".safetensors"))
    must_be_free(out, force)
    import gandem
    from gandem.uses.export import export as write

    result = write(gandem.open_run(run, ema=ema), out)
    checked = f"; it agrees with the run to {result['max_difference']:.1e}" if "max_difference" in result else ""
    if json:
        report(result, json)
    else:
        print(f"wrote {out} ({result['bytes'] / 1e6:.1f} MB){checked}")
