"""The judge for tables on rows that a codec decoded: what it finds as facts, as evidence, and as parts of the page."""

from __future__ import annotations

from dataclasses import replace

from gandem.domains.domain import Examination, Judged
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.page import sections
from gandem.domains.tables.rules import Order
from gandem.errors import RecipeError, nearest
from gandem.judge.tables.judgement import FLOOR, GENERATED, REAL, judge_table
from gandem.judge.tables.privacy import MADE, Privacy, privacy
from gandem.judge.tables.rows import Columns


def examined(judged: Judged, target: str | None, seed: int) -> Examination:
    """Judge rows against held-out ones, beside fresh real rows and independent columns; raises RecipeError."""
    columns = columns_of(judged.codec)
    for rule in judged.codec.rules:
        if not isinstance(rule, Order) and rule.target.name == target:
            raise RecipeError(
                f"--target {target}: is worked out from other columns ({rule}), so that nothing need learn it; take "
                f"{' or '.join(rule.sources)}, or train with --set data.rules=none"
            )
    if target is not None and target not in columns.names:
        raise RecipeError(f"--target {target}: is no column that is learnt.{nearest(target, columns.names)}")
    judgement = judge_table(
        judged.generated,
        judged.real,
        judged.held_out,
        judged.floors[FLOOR],
        columns,
        target=None if target is None else columns.index(target),
        privacy=_privacy(judged, columns, seed),
        seed=seed,
    )
    evidence = {"two-sample AUC": judgement.rows[GENERATED].two_sample.auc}
    if judgement.global_utility is not None:
        evidence["global utility"] = judgement.global_utility.ratio[GENERATED]
    if judgement.privacy is not None:
        evidence["membership attack"] = judgement.privacy.generated.highest
    broken = broken_rules(judged)
    facts = judgement.to_dict() | {"broken": broken[GENERATED], "broken_real": broken[REAL]}
    return Examination({"table": facts}, evidence, sections(judged, judgement, broken))


def broken_rules(judged: Judged) -> dict[str, dict[str, int]]:
    """Return how many generated rows break each rule, by its text, and how many real ones.

    What a rule works out of real rows is as it wants it, since only orders and keys can be broken by rows of a codec.
    """
    found = {GENERATED: judged.generated, REAL: judged.real}
    broken = {}
    for name, rows in found.items():
        columns = {column: values for column, (_, values) in judged.codec.worked_out(rows).items()}
        broken[name] = {rule: int(wrong.sum()) for rule, wrong in judged.codec.wrong(columns).items()}
    if "broken" in judged.report:  # rows that were read have the determined columns, too
        broken[GENERATED] = dict(judged.report["broken"])
    return broken


def columns_of(codec: TableCodec) -> Columns:
    """Return what the judge knows of the columns that a codec models."""
    return Columns(codec.names, codec.categorical, tuple(column.categories for column in codec.columns))


def _privacy(judged: Judged, columns: Columns, seed: int) -> Privacy | None:
    """Attack as many generated rows as were trained on, up to what attacks use; None if nobody knows those."""
    if judged.training is None:
        return None
    training, rows = judged.training(MADE)
    found = privacy(judged.more(len(training)), training, judged.held_out, columns, seed=seed)
    return replace(found, exposed=tuple(replace(one, row=int(rows[one.row])) for one in found.exposed))
