"""The domains: one folder for each kind of data."""

from __future__ import annotations

from gandem.domains.arrays import ARRAYS
from gandem.domains.domain import Domain
from gandem.domains.given import Opened
from gandem.domains.images import IMAGES
from gandem.domains.tables import TABLES

DOMAINS: dict[str, Domain] = {"arrays": ARRAYS, "tables": TABLES, "images": IMAGES}
"""By the name that a run folder has for them; images come last, as they take whatever nobody else does."""


def domain_of(source: Opened) -> Domain:
    """Return the first domain that reads such a source."""
    return next(domain for domain in DOMAINS.values() if domain.reads(source))
