"""Values of one column as tokens with a residual, and back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gandem.domains.tables.scales import Scale, scale_from
from gandem.domains.tables.spec import Block

MOST_TOKENS = 256
"""Categories with a token of their own; more of them share the last one."""
MOST_EXACT, FEWEST_EACH = 128, 5
"""Different numbers up to which each has a token, if there are so many rows for each on average."""
ATOM, FEWEST_ATOM = 0.01, 5
"""Part of the rows, and number of them, from which a number has a token of its own among bins."""
BINS, FEWEST_IN_BIN = 32, 10
KNOTS, KEPT, ROUND = 8, 16, 1 / 64
"""Places between which a bin is linear; different values up to which a bin keeps a place for each; and the part of a
bin from which a value among more of them keeps its place, as round amounts do, if there are FEWEST_ATOM of it."""
_PRECISION = 2.0**-23
_LEAST_SHARE = 2.0**-21  # of the shared token: single precision tells no finer ones apart


class CategoryTokens:
    """The names that occur most have a token each; the rest share one, in which the residual says which of them.

    counts: of every category, int64, in descending order (booleans: as they are).
    The shared token is divided among its categories by their counts, so that any residual is one of them, and an even
    one gives each as often as it occurred.
    """

    def __init__(self, counts: np.ndarray, missing: int) -> None:
        self.counts, self.missing = np.asarray(counts, np.int64), int(missing)
        many = len(self.counts) > MOST_TOKENS
        self.head = MOST_TOKENS - 1 if many else len(self.counts)
        rest = self.counts[self.head :]
        shares = np.maximum(rest / max(int(rest.sum()), 1), min(_LEAST_SHARE, 0.5 / max(len(rest), 1)))
        self._ends = -1 + 2 * np.concatenate([[0], np.cumsum(shares)]) / max(float(shares.sum()), 1e-12)

    @property
    def block(self) -> Block:
        """How this column stands in the flat row."""
        rest = self.counts[self.head :].sum()
        counts = [
            *self.counts[: self.head],
            *([rest] if self._shared else []),
            *([self.missing] if self.missing else []),
        ]
        return Block(len(counts), self._shared, False, (), _log_probabilities(counts), bool(self.missing))

    @property
    def _shared(self) -> bool:
        return self.head < len(self.counts)

    def encode(self, values: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (codes int32 (n,), residuals float32 (n,)) of numbers of categories, NaN for missing.

        places: numbers in [0, 1], float64 (n,), that say where in its share a value shall lie.
        """
        gone = np.isnan(values)
        index = np.where(gone, 0, values).astype(np.int64)
        rare = (index >= self.head) & ~gone
        codes = np.minimum(index, self.head)
        residuals = np.zeros(len(values))
        if rare.any():
            at = index[rare] - self.head
            residuals[rare] = _within(self._ends[at], self._ends[at + 1], places[rare])
        codes[gone] = self.head + self._shared
        residuals[gone] = 0
        return codes.astype(np.int32), residuals.astype(np.float32)

    def decode(self, codes: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Return the numbers of categories, float64 (n,), NaN for missing."""
        values = codes.astype(np.float64)
        if self._shared:
            rare = codes == self.head
            at = np.searchsorted(self._ends, residuals[rare].astype(np.float64), side="right") - 1
            values[rare] = self.head + np.clip(at, 0, len(self.counts) - self.head - 1)
        if self.missing:
            values[codes == self.head + self._shared] = np.nan
        return values

    def bounds(self, values: np.ndarray) -> np.ndarray:
        """Return between which residuals (n, 2) lies what stands for each category (n,); all of them for others."""
        at = np.nan_to_num(values).astype(np.int64) - self.head
        rare = (at >= 0) & (at < len(self._ends) - 1) & ~np.isnan(values)
        found = np.tile([-1.0, 1.0], (len(values), 1))
        found[rare] = np.stack([self._ends[at[rare]], self._ends[at[rare] + 1]], 1)
        return found

    def part(self, values: np.ndarray) -> np.ndarray:
        """Return which part of each token some different categories (k,) are, float64 (tokens,)."""
        weights, count = np.maximum(self.counts, 0.5), self.block.tokens
        token = np.minimum(np.arange(len(weights)), self.head)
        index = values.astype(np.int64)
        whole = np.bincount(token, weights, count)
        part: np.ndarray = np.bincount(token[index], weights[index], count) / np.maximum(whole, 0.5)
        return part

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"counts": self.counts.tolist(), "missing": self.missing}


class NumberTokens:
    """Numbers that occur often have a token each; the others are in bins of about equally many, with a residual.

    scale: the line on which the values lie. low, high: of each token, float64 (t,), ascending; equal where the token is
    one number. ranks, places: a line through all bins, rank 2 t + r at residual r of token t. counts: rows of each.
    Within a bin the residual is a rank, so that it is spread evenly over [-1, 1] in the training data.
    """

    def __init__(
        self,
        scale: Scale,
        low: Sequence[float],
        high: Sequence[float],
        ranks: Sequence[float],
        places: Sequence[float],
        counts: Sequence[int],
        missing: int,
    ) -> None:
        self.scale, self.missing = scale, int(missing)
        self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        self.ranks, self.places = np.asarray(ranks, np.float64), np.asarray(places, np.float64)
        self.counts = np.asarray(counts, np.int64)
        self.exact = self.low == self.high
        self._between = (self.high[:-1] + self.low[1:]) / 2

    @classmethod
    def of(cls, values: np.ndarray, scale: Scale, bins: int = BINS, exact: bool = False) -> NumberTokens:
        """Find tokens and bins for values (n,), NaN for missing; at least one must not be.

        exact: whether each number gets a token, as a rule may need it that goes by this column.
        """
        present = values[~np.isnan(values)]
        unique, counts = np.unique(present, return_counts=True)
        atoms = counts >= max(ATOM * len(values), FEWEST_ATOM)
        if exact or (len(unique) <= MOST_EXACT and len(present) >= FEWEST_EACH * len(unique)):
            atoms[:] = True
        low: list[float] = []
        high: list[float] = []
        ranks: list[float] = []
        places: list[float] = []
        sizes: list[int] = []
        for start, end in _parts(counts, atoms, bins):
            found, often = unique[start:end], counts[start:end]
            rank, place = _knots(found, often, scale)
            ranks += (rank + 2 * len(low)).tolist()
            places += place.tolist()
            low.append(float(found[0]))
            high.append(float(found[-1]))
            sizes.append(int(often.sum()))
        return cls(scale, low, high, ranks, places, sizes, len(values) - len(present))

    @property
    def block(self) -> Block:
        """How this column stands in the flat row."""
        middle = (np.cumsum(self.counts) - self.counts / 2) / self.counts.sum() * 2 - 1
        values = tuple(float(f"{place:.4f}") for place in middle) + ((0.0,) if self.missing else ())
        counts = [*self.counts, *([self.missing] if self.missing else [])]
        residual = bool((~self.exact).any())
        return Block(len(counts), residual, True, values, _log_probabilities(counts), bool(self.missing))

    def encode(self, values: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (codes int32 (n,), residuals float32 (n,)) of numbers, NaN for missing; the nearest for strange ones.

        places: numbers in [0, 1], float64 (n,), that say where in the share of a value, if it has one, it shall lie.
        """
        gone = np.isnan(values)
        filled = np.where(gone, self.low[0], values)
        codes = np.searchsorted(self._between, filled)
        residuals = np.zeros(len(values))
        inside = ~self.exact[codes] & ~gone
        if inside.any():
            token = codes[inside]
            clipped = np.clip(filled[inside], self.low[token], self.high[token])
            start = self._residual(self.scale.lower(clipped), token)
            end = self._residual(self.scale.upper(clipped), token)
            residuals[inside] = _within(start, end, places[inside])
        codes[gone] = len(self.low)
        return codes.astype(np.int32), residuals.astype(np.float32)

    def _residual(self, places: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return np.clip(np.interp(places, self.places, self.ranks) - 2 * tokens, -1, 1)

    def decode(self, codes: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Return the numbers, float64 (n,), NaN for missing; residuals outside [-1, 1] are clamped."""
        token = np.minimum(codes, len(self.low) - 1)
        values = self.low[token]
        inside = ~self.exact[token]
        if inside.any():
            ranks = 2 * token[inside] + np.clip(residuals[inside].astype(np.float64), -1, 1)
            placed = self.scale.value(np.interp(ranks, self.ranks, self.places))
            values[inside] = np.clip(placed, self.low[token[inside]], self.high[token[inside]])
        if self.missing:
            values[codes >= len(self.low)] = np.nan
        return values

    def bounds(self, values: np.ndarray) -> np.ndarray:
        """Return between which residuals (n, 2) lies what stands for each number (n,); all where it has a token.

        A number that is on no grid takes as much as lies between two neighbours in a bin of median density.
        """
        token = np.searchsorted(self._between, np.nan_to_num(values))
        inside = ~np.isnan(values) & ~self.exact[token]
        token, found = token[inside], np.tile([-1.0, 1.0], (len(values), 1))
        number = np.clip(values[inside], self.low[token], self.high[token])
        first, last = self.scale.lower(self.low), self.scale.upper(self.high)
        start, end = self.scale.lower(number), self.scale.upper(number)
        if len(token) and not self.scale.width:
            gap = np.median(((last - first) / self.counts)[~self.exact])
            start = np.clip(start - gap / 2, first[token], np.maximum(last - gap, first)[token])
            end = np.minimum(start + gap, last[token])
        found[inside] = np.stack([self._residual(each, token) for each in (start, end)], 1)
        return found

    def raised(self, values: np.ndarray, strictly: bool) -> np.ndarray:
        """Return the smallest numbers that can come out and are not below values (n,), or above them if `strictly`."""
        least = self.scale.raised(values, strictly)
        token = np.minimum(np.searchsorted(self.high, least), len(self.high) - 1)
        return np.maximum(least, self.low[token])

    def lowered(self, values: np.ndarray, strictly: bool) -> np.ndarray:
        """Return the largest numbers that can come out and are not above values (n,), or below them if `strictly`."""
        most = self.scale.lowered(values, strictly)
        token = np.maximum(np.searchsorted(self.low, most, side="right") - 1, 0)
        return np.minimum(most, self.high[token])

    def part(self, values: np.ndarray) -> np.ndarray:
        """Return 1 for the tokens of some values (k,) that have one each, and 0 for others, float64 (tokens,)."""
        codes, _ = self.encode(values, np.full(len(values), 0.5))
        return np.isin(np.arange(self.block.tokens), codes).astype(np.float64)

    def held(self, values: np.ndarray) -> np.ndarray:
        """Return which numbers (n,) are in the range, and not beside numbers that have a token each, bool (n,)."""
        token = np.searchsorted(self._between, values)
        beside = self.exact[token] & (values != self.low[token])
        slack = 0 if self.scale.width else _PRECISION * (self.high[-1] - self.low[0])
        held: np.ndarray = (values >= self.low[0] - slack) & (values <= self.high[-1] + slack) & ~beside
        return held

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        numbers = {name: getattr(self, name).tolist() for name in ("low", "high", "ranks", "places", "counts")}
        return {"scale": self.scale.to_dict(), **numbers, "missing": self.missing}


def tokens_from(state: dict[str, Any]) -> CategoryTokens | NumberTokens:
    """Rebuild tokens from their `to_dict`."""
    if "scale" in state:
        return NumberTokens(**{**state, "scale": scale_from(state["scale"])})
    return CategoryTokens(np.asarray(state["counts"], np.int64), state["missing"])


def _parts(counts: np.ndarray, atoms: np.ndarray, bins: int) -> list[tuple[int, int]]:
    """Divide sorted different values into tokens, as [start, end): atoms alone, the others in bins between them."""
    rest = max(int(counts[~atoms].sum()), 1)
    bins = max(1, min(bins, rest // FEWEST_IN_BIN))
    parts, start = [], 0
    for stop in [*np.flatnonzero(atoms).tolist(), len(counts)]:
        if stop > start:
            inside = counts[start:stop]
            wanted = max(1, round(bins * inside.sum() / rest))
            number = ((np.cumsum(inside) - inside / 2) / inside.sum() * wanted).astype(np.int64)
            cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), stop - start]
            parts += [(start + a, start + b) for a, b in itertools.pairwise(cuts)]
        if stop < len(counts):
            parts.append((stop, stop + 1))
        start = stop + 1
    return parts


def _knots(values: np.ndarray, counts: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Return (ranks in [-1, 1], places on the scale) of the line through one token's sorted different values."""
    lower, upper = scale.lower(values), scale.upper(values)
    common = np.empty(0, np.int64)
    if lower[0] < upper[0]:  # values have room
        common = np.flatnonzero(counts >= max(ROUND * counts.sum(), FEWEST_ATOM))
        places, shares = np.concatenate([lower[:1], upper]), np.concatenate([[0], np.cumsum(counts)])
        places[common] = lower[common]
    else:
        places, shares = lower, np.cumsum(counts) - counts
        if len(values) == 1:
            places, shares = lower.repeat(2), np.array([0, 1])
    ranks = -1 + 2 * shares / shares[-1]
    if len(places) > KEPT:
        even = np.searchsorted(ranks, [*np.linspace(-1, 1, KNOTS + 1), -0.95, 0.95])
        kept = np.unique([*even, *common, *common + 1])  # both ends of the room that a common value has
        ranks, places = ranks[kept], places[kept]
    return ranks, places


def _within(start: np.ndarray, end: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return points between starts and ends (n,), not so near to them that single precision would carry them over."""
    room = end - start
    spread = np.clip(1 - 4 * _PRECISION / np.maximum(room, _PRECISION), 0, 0.96)
    return (start + end) / 2 + room * spread * (places - 0.5)


def _log_probabilities(counts: Sequence[int]) -> tuple[float, ...]:
    """Return log frequencies, of half a row where there is none."""
    smoothed = np.maximum(np.asarray(counts, np.float64), 0.5)
    return tuple(float(f"{value:.5f}") for value in np.log(smoothed / smoothed.sum()))
