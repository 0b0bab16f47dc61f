"""The domains: one folder for each kind of data."""

from __future__ import annotations

from gandem.domains.domain import Domain
from gandem.domains.images import IMAGES

DOMAINS: dict[str, Domain] = {"images": IMAGES}
