"""Columns of which exactly one is set in every row: together they are one category."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from gandem.domains.tables.columns import Column
from gandem.domains.tables.finding import Modelled, find_rules
from gandem.domains.tables.rules import Determined, Order, Rule
from gandem.domains.tables.tokens import CategoryTokens

FEWEST_MEMBERS, FEWEST_ROWS = 3, 50


def rules_and_groups(columns: Sequence[Modelled], taken: Collection[str]) -> tuple[list[Modelled], list[Rule]]:
    """Return what is left when groups have become categories, and the rules of all columns, in order of application.

    taken: names that no group can have.
    """
    columns, members = one_hot_groups(columns, taken)
    groups = {rule.by for rule in members}
    # a category beside its own group comes first, so that it is learnt, and asked for by its own names
    rules = find_rules(sorted(columns, key=lambda column: column.name in groups))
    known = {rule.target.name: rule for rule in rules if isinstance(rule, Determined) and rule.target.name in groups}
    left = [column for column in columns if column.name not in known]
    rules = [rule for rule in rules if isinstance(rule, Order) or rule.target.name not in groups]
    return left, rules + [_through(known[rule.by], rule) if rule.by in known else rule for rule in members]


def _through(group: Determined, member: Determined) -> Determined:
    """Return how a member follows from what determines its group, which is no column of the table."""
    set_at = member.values.index(1.0)
    values = tuple(np.nan if np.isnan(value) else float(value == set_at) for value in group.values)
    return dataclasses.replace(member, by=group.by, keys=group.keys, values=values)


def one_hot_groups(columns: Sequence[Modelled], taken: Collection[str]) -> tuple[list[Modelled], list[Determined]]:
    """Put a category in the place of such columns; return what is left, and rules that work the members out.

    A group stands side by side among the columns of zeros and ones. taken: names that it cannot have.
    """
    binary = [column for column in columns if _is_binary(column)]
    kept, rules, start = list(columns), list[Determined](), 0
    while start + FEWEST_MEMBERS <= len(binary):
        members = _group(binary[start:])
        if members:
            group = _joined(members, taken)
            kept.insert(kept.index(members[0]), group)
            kept = [column for column in kept if column not in members]
            rules += [_member(group, number, member) for number, member in _numbered(group, members)]
        start += len(members) or 1
    return kept, rules


def _is_binary(column: Modelled) -> bool:
    values = column.values
    return not column.column.missing and len(values) >= FEWEST_ROWS and bool(np.isin(values, (0.0, 1.0)).all())


def _group(binary: Sequence[Modelled]) -> list[Modelled]:
    """Return the first columns whose sum is 1 in every row, none if there are not enough of them."""
    total = np.zeros(len(binary[0].values))
    for number, column in enumerate(binary, 1):
        total += column.values
        if (total > 1).any():
            return []
        if number >= FEWEST_MEMBERS and (total == 1).all():
            return list(binary[:number])
    return []


def _joined(members: Sequence[Modelled], taken: Collection[str]) -> Modelled:
    counts = np.array([member.values.sum() for member in members]).astype(np.int64)
    order = np.argsort(-counts, kind="stable")
    names = tuple(members[index].name for index in order)
    shared = _common(names).rstrip("_-. :=")
    name = shared if shared and shared not in taken else f"one of {names[0]}, ..."
    values = np.argmax([members[index].values for index in order], 0).astype(np.float64)
    return Modelled(Column(name, "category", names), CategoryTokens(counts[order], 0), values)


def _common(names: Sequence[str]) -> str:
    """Return the letters with which all names begin."""
    first, last = min(names), max(names)
    return first[: next((at for at, sign in enumerate(first) if last[at : at + 1] != sign), len(first))]


def _numbered(group: Modelled, members: Sequence[Modelled]) -> list[tuple[int, Modelled]]:
    return [(group.column.categories.index(member.name), member) for member in members]


def _member(group: Modelled, number: int, member: Modelled) -> Determined:
    keys = tuple(float(index) for index in range(len(group.column.categories)))
    values = tuple(float(index == number) for index in range(len(keys)))
    return Determined(member.column, group.name, keys, (*values, np.nan))
