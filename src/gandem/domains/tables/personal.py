"""Personal data: recognised by their form or by the name of their column, replaced by made-up values, never learnt."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

MOSTLY, _SAMPLE, _SHORTEST = 0.9, 2000, 3
_MANY, _PEOPLE = 0.3, 20
"""Part of the values that must differ where the column's name is in doubt, and how many where it tells of people."""
_EMAIL = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
_PHONE = r"^\+?[\d\s().\-/]{7,22}$"
_PHONE_ALONE = r"^\+\d|^(1[ .-]?)?(\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])\d{3}[-. ]\d{4}$"
"""Forms that nothing but numbers of telephones have: international ones, and those of North America."""
_IBAN = r"^[A-Z]{2}\d{2}[ ]?([A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}$"
_CARD = r"^\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}$"
_SOCIAL = r"^\d{3}-\d{2}-\d{4}$"
_IP = r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$"
_NAME = r"^[^\W\d_][\w'’.\-]*([ ,]+[\w'’.\-]+){0,4}$"
_WHOLE_NAME = r"^\p{L}[\p{L}'’.\-]*(,? \p{L}[\p{L}'’.\-]*){1,3}$"
_OF_PEOPLE = {
    *("firstname", "lastname", "surname", "fullname", "vorname", "nachname", "familienname"),
    *("first", "last", "given", "family"),
}
_PEOPLE_ARE = {
    *("full", "middle", "maiden", "person", "persons", "people", "patient", "customer", "client", "user", "member"),
    *("employee", "staff", "worker", "kunde", "kunden", "kundin", "patienten", "mitarbeiter", "besitzer"),
    *("student", "pupil", "teacher", "doctor", "physician", "nurse", "surgeon", "passenger", "guest", "visitor"),
    *("applicant", "candidate", "participant", "owner", "holder", "cardholder", "contact", "buyer", "seller"),
    *("tenant", "driver", "parent", "mother", "father", "spouse", "child"),
}
_THINGS = {
    *("product", "item", "article", "brand", "company", "firm", "business", "employer", "team", "club", "school"),
    *("hospital", "hotel", "restaurant", "store", "shop", "bank", "city", "town", "street", "county", "state"),
    *("country", "region", "place", "station", "file", "host", "domain", "table", "column", "field", "class"),
    *("category", "group", "type", "event", "course", "project", "model", "species", "drug", "disease", "gene"),
    *("movie", "film", "song", "album", "book", "game", "app"),
}
_FIRST = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Hugo",
    "Ida",
    "Jonas",
    "Kira",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Samir",
    "Tara",
    "Yusuf",
]
_LAST = [
    "Adler",
    "Berg",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Haas",
    "Ivanov",
    "Jensen",
    "Kim",
    "Lopez",
    "Meyer",
    "Novak",
    "Okafor",
    "Rossi",
    "Silva",
]
_STREETS = [
    "Birch",
    "Cedar",
    "Elm",
    "Hill",
    "Lake",
    "Linden",
    "Maple",
    "Mill",
    "Oak",
    "Park",
    "Pine",
    "River",
    "School",
    "Station",
    "Willow",
]


def recognised(series: pl.Series) -> dict[str, Any] | None:
    """Return what makes values in place of personal ones, as {"personal": what, ...}, or None for other columns."""
    present = series.drop_nulls().cast(pl.String)
    if not (present.head(_SAMPLE).str.len_chars() >= _SHORTEST).any():
        return None
    sample = present.unique(maintain_order=True).head(_SAMPLE)
    words = _words(series.name)
    named = set(words)

    like = partial(_like, sample)
    different = present.n_unique()
    many = different > max(_MANY * len(present), 10)
    tests: dict[str, Callable[[], bool]] = {
        "email": lambda: like(_EMAIL),
        "iban": lambda: like(_IBAN) and _share(sample, _is_iban) >= MOSTLY,
        "card": lambda: like(_CARD) and _share(sample, _is_card) >= MOSTLY and many,
        "social security number": lambda: like(_SOCIAL),
        "phone": lambda: (
            like(_PHONE)
            and _share(sample, lambda text: 7 <= sum(map(str.isdigit, text)) <= 15) >= MOSTLY
            and (
                named & {"phone", "tel", "telephone", "telefon", "mobile", "fax", "cell"} != set() or like(_PHONE_ALONE)
            )
        ),
        "address of a computer": lambda: like(_IP) and many,
        "name": lambda: _names_people(words, many, different > _PEOPLE, like),
        "address": lambda: (
            many and bool(named & {"address", "street", "strasse", "addr", "adresse"}) and like(r"[A-Za-z]")
        ),
    }
    what = next((what for what, test in tests.items() if test()), None)
    if what is None:
        return None
    how: dict[str, Any] = {"personal": what}
    if what in ("name",):
        how["part"] = _part(named, sample)
    elif what not in ("email", "address"):
        how["mask"] = str(sample.str.replace_all(r"\d", "0").str.replace_all(r"[A-Z]", "A").mode().sort()[0])
    return how


def may_name_people(series: pl.Series) -> bool:
    """Whether texts that are not recognised may be names of people all the same, as those in a column called name."""
    sample = series.drop_nulls().unique(maintain_order=True).head(_SAMPLE)
    like = partial(_like, sample)
    return len(sample) > _PEOPLE and _names_people(_words(series.name), True, True, like) and like(_WHOLE_NAME)


def _like(sample: pl.Series, form: str) -> bool:
    return float(sample.str.contains(form).mean() or 0) >= MOSTLY  # type: ignore[arg-type]


def _words(name: str) -> list[str]:
    parted = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return [word for word in parted if word]


def _names_people(words: list[str], many: bool, several: bool, like: Callable[[str], bool]) -> bool:
    """Whether a column holds names of people, by the words of its own name.

    The same patients come back in every visit, so a large part of the values must differ only where the words leave a
    doubt. In "hospital_patient_name" and "patient_hospital_name" the word before the last says whose name it is.
    """
    if words and several and set(words) <= _PEOPLE_ARE:
        return like(_WHOLE_NAME)  # a column "customer" may hold codes or kinds as well
    parts = re.sub(r"(?<=[a-z])name(?=_|$)", "_name", "_".join(words)).split("_")
    owners = {owner for owner, word in itertools.pairwise(parts) if word == "name"} or set(parts)
    if "name" in parts and owners & _THINGS:
        return False
    told = bool({*words, *parts} & _OF_PEOPLE) and ("name" in parts or len(words) == 1)
    told |= bool(set(parts) & _PEOPLE_ARE) and "name" in parts
    return ((several and told) or (many and "name" in parts)) and like(_NAME)


def _share(sample: pl.Series, test: Callable[[str], bool]) -> float:
    return sum(map(test, sample.to_list())) / max(len(sample), 1)


def _is_iban(text: str) -> bool:
    text = text.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Whether the last digit is right (Luhn 1960)."""
    digits = [int(sign) for sign in text if sign.isdigit()][::-1]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def _part(named: set[str], sample: pl.Series) -> str:
    if named & {"first", "given", "firstname", "vorname"}:
        return "first"
    if named & {"last", "family", "surname", "lastname", "nachname"}:
        return "last"
    return "whole" if (sample.str.contains(" ").mean() or 0) > 0.5 else "last"  # type: ignore[operator]


def made_up(how: dict[str, Any], count: int, salt: str) -> list[str]:
    """Return `count` made-up values; the same ones each time, salt being the name of their column."""
    rng = np.random.default_rng(zlib.crc32(salt.encode()))
    first, last = rng.choice(_FIRST, count), rng.choice(_LAST, count)
    what = how["personal"]
    if what == "email":
        return [f"{a}.{b}{row}@example.com".lower() for row, (a, b) in enumerate(zip(first, last, strict=True))]
    if what == "name":
        parts = {"first": first.tolist(), "last": last.tolist()}
        return parts.get(how["part"]) or [f"{a} {b}" for a, b in zip(first, last, strict=True)]
    if what == "address":
        numbers, streets = rng.integers(1, 200, count), rng.choice(_STREETS, count)
        return [f"{number} {street} Street" for number, street in zip(numbers, streets, strict=True)]
    return [_filled(how["mask"], rng) for _ in range(count)]


def _filled(mask: str, rng: np.random.Generator) -> str:
    digits, letters = rng.integers(0, 10, len(mask)), rng.integers(0, 26, len(mask))
    signs = {"0": lambda at: str(digits[at]), "A": lambda at: chr(65 + letters[at])}
    return "".join(signs[sign](at) if sign in signs else sign for at, sign in enumerate(mask))
