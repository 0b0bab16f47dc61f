"""Identifiers: recognised by their form, made anew by it, all different, and never learnt."""

from __future__ import annotations

import itertools
import math
import re
import string
import uuid
import zlib
from collections.abc import Sequence
from operator import contains, getitem
from typing import Any

import numpy as np

UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CLASSES = {"0": string.digits, "a": string.ascii_lowercase, "A": string.ascii_uppercase, "h": "0123456789abcdef"}
"""Letters of a form and what may stand there; other signs stand for themselves, behind a backslash if they are letters
or zeros."""
_STEP = 0.6180339887498949  # of the golden ratio: numbers of neighbours lie far apart


def named_like_key(name: str) -> bool:
    """Whether a column's name says that it identifies rows."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    keys = r"id|ids|key|uuid|guid|nr|no|num|number|index|idx|row|rownum|serial|code|ref|unnamed.*"
    return re.search(rf"(^|[\W_])({keys})($|[\W_])", words) is not None


def form_of(values: Sequence[str]) -> dict[str, Any]:
    """Return what makes texts of the form that given ones have: which signs stand at which place."""
    if all(re.fullmatch(UUID, value) for value in values):
        return {"uuid": True, "seed": zlib.crc32(max(values).encode())}
    width = max(map(len, values))
    if min(map(len, values)) == width:
        return _beside("".join(_place({value[at] for value in values}) for at in range(width)), values)
    prefix = _common(values)
    rests = [value[len(prefix) :] for value in values]
    if all(rest.isdecimal() and not rest.startswith("0") for rest in rests):
        return {"prefix": prefix, "start": 1 + max(map(int, rests))}
    longest = max(map(len, rests))
    signs = set().union(*rests) & set(string.ascii_letters + string.digits) or set("0")
    signs = signs | {"0", "1"} if len(signs) < 2 else signs
    return _beside("".join(map(_literal, prefix)) + _place(signs) * longest, values)


def _beside(form: str, values: Sequence[str]) -> dict[str, Any]:
    """Return a form and the numbers of texts of it, in counting order, among which no given one is.

    Those behind the last if they are as many as the given ones, else those of the largest gap; where none is so large,
    one more digit makes all different.
    """
    choices = _choices(form)
    room = 1
    places: list[dict[str, int]] = []
    for signs in reversed(choices):  # the last counts single ones
        places.insert(0, {sign: at * room for at, sign in enumerate(signs)})
        room *= len(signs)
    taken = {-1, room}
    for value in values:
        if len(value) == len(places) and all(map(contains, places, value)):
            taken.add(sum(map(getitem, places, value)))
    ends = sorted(taken)
    gaps = [high - low - 1 for low, high in itertools.pairwise(ends)]
    widest = len(gaps) - 1 if gaps[-1] >= len(values) else max(range(len(gaps)), key=gaps.__getitem__)
    if gaps[widest] < len(values):
        return {"form": form + "0"}
    return {"form": form} | ({"from": ends[widest] + 1, "room": gaps[widest]} if gaps[widest] < room else {})


def _choices(form: str) -> list[str]:
    """Return the signs that may stand at each place of a form."""
    return [_CLASSES.get(place, place[-1:]) for place in re.findall(r"\\.|.", form, flags=re.DOTALL)]


def _common(values: Sequence[str]) -> str:
    first, last = min(values), max(values)
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared] and not first[shared].isdecimal():
        shared += 1
    return first[:shared]


def _literal(sign: str) -> str:
    return f"\\{sign}" if sign in _CLASSES or sign == "\\" else sign


def _place(signs: set[str]) -> str:
    if len(signs) == 1:
        return _literal(next(iter(signs)))
    for letter in ("0", "h", "a", "A"):
        if signs <= set(_CLASSES[letter]):
            return letter
    return "A" if any(sign.isupper() for sign in signs) else "a"


def made_from(how: dict[str, Any], count: int, salt: str) -> list[str]:
    """Return `count` different texts; the same ones each time, salt being the name of their column."""
    seed = zlib.crc32(salt.encode()) ^ how.get("seed", 0)
    if "uuid" in how:
        rng = np.random.default_rng(seed)
        return [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(count)]
    if "start" in how:
        return [f"{how['prefix']}{how['start'] + row}" for row in range(count)]
    choices = _choices(how["form"])
    room = how.get("room", math.prod(map(len, choices)))
    step = max(room * round(_STEP * 10**16) // 10**16, 1)  # of whole numbers: there may be more than a float can count
    while math.gcd(step, room) > 1:
        step += 1
    made = []
    for row in range(count):
        number = how.get("from", 0) + (seed + row * step) % room
        letters = []
        for signs in reversed(choices):
            number, at = divmod(number, len(signs))
            letters.append(signs[at])
        more = f"-{row // room}" if row >= room else ""
        made.append("".join(reversed(letters)) + more)
    return made
