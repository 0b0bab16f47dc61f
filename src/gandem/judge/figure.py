"""A number with its interval, and what all the numbers of the judge share: checked rows and resampled halves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gandem.errors import JudgeError

Z = 1.959963984540054
"""Standard deviations on either side of an estimate that hold 95 % of a normal distribution."""
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % points of Student's t with 1, 2, ... degrees of freedom."""
ROUNDS = 50
"""Random halvings behind an interval: its half-width is then right to about a tenth."""
Rounds = Callable[[int, int], None]
"""Called as rounds(done, of how many): many columns take minutes."""


@dataclass(frozen=True)
class Figure:
    """A number, its 95 % interval [low, high], and the rows it rests on.

    n: rows that were measured; n_reference: rows they were measured against, where there are any.
    """

    value: float
    low: float
    high: float
    n: int
    n_reference: int | None = None

    @classmethod
    def around(
        cls, value: float, error: float, n: int, n_reference: int | None = None, *, floor: float = -math.inf
    ) -> Figure:
        """Build value ± 1.96 errors; `floor` is the least that the number can be."""
        return cls(value, max(value - Z * error, floor), value + Z * error, n, n_reference)

    @classmethod
    def of_share(cls, hits: float, n: float, z: float = Z) -> Figure:
        """Build hits / n with its Wilson (1927) score interval, which stays within [0, 1] and never vanishes."""
        share = hits / n
        centre, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
        return cls(share, min(max(low, 0.0), share), max(min(high, 1.0), share), round(n))

    def against(self, n_reference: int) -> Figure:
        """Return the same figure with the count of rows it was measured against."""
        return replace(self, n_reference=n_reference)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON: a number that is not finite is None, an absent count is left out."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value if math.isfinite(value) else None for name, value in fields.items()}


def quantile(freedom: int) -> float:
    """Return the 97.5 % point of Student's t; from 10 degrees of freedom on by its expansion (Cornish-Fisher)."""
    if freedom <= len(T_QUANTILES):
        return T_QUANTILES[freedom - 1]
    second, third = 5 * Z**5 + 16 * Z**3 + 3 * Z, 3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z
    return Z + (Z**3 + Z) / (4 * freedom) + second / (96 * freedom**2) + third / (384 * freedom**3)


def comparable(least: int, **sets: Tensor) -> tuple[Tensor, ...]:
    """Return feature sets (n, d) as float64, or raise a JudgeError that names the one that cannot be compared.

    least: rows that each set must have. All must have the same d, and finite numbers only.
    """
    widths = {name: rows.shape[1] if rows.ndim == 2 else None for name, rows in sets.items()}
    for name, rows in sets.items():
        if not widths[name]:
            raise JudgeError(f"{name} features must have the shape (rows, columns), not {tuple(rows.shape)}")
        if len(rows) < least:
            raise JudgeError(f"{len(rows)} {name} rows are too few to judge by; at least {least} are needed")
        if bad := int((~rows.isfinite()).any(1).sum()):
            raise JudgeError(f"{bad} of {len(rows)} {name} rows hold NaN or infinity")
    if len(set(widths.values())) > 1:
        raise JudgeError(f"the sets have different numbers of features: {widths}")
    return tuple(rows.detach().double() for rows in sets.values())


def error_by_halves(statistic: Callable[..., float], *counts: int, rounds: int = ROUNDS, seed: int = 0) -> float:
    """Return the standard error of statistic(all rows of each set); see `errors_by_halves`."""
    return errors_by_halves(lambda *rows: (statistic(*rows),), *counts, rounds=rounds, seed=seed)[0]


def errors_by_halves(
    statistics: Callable[..., Sequence[float]], *counts: int, rounds: int = ROUNDS, seed: int = 0
) -> list[float]:
    """Return the standard errors of statistics(all rows of each set), by random halves of all sets at once.

    statistics: function of one index tensor per set; counts: rows of each set.
    """

    def both(*orders: Tensor) -> list[Sequence[float]]:
        halves = [(order[: len(order) // 2], order[len(order) // 2 :]) for order in orders]
        return [statistics(*side) for side in zip(*halves, strict=True)]

    return errors_by_opposites(both, *counts, rounds=rounds, seed=seed)


def errors_by_opposites(
    both: Callable[..., Sequence[Sequence[float]]],
    *counts: int,
    rounds: int = ROUNDS,
    seed: int = 0,
    tell: Rounds = lambda done, of: None,
) -> list[float]:
    """Return the same, given a function that finds the statistics of both halves at once.

    both: function of one order (n,) of all rows per set -> statistics of the first halves, and of the second.
    With first-order variance V1 and second-order variance V2 (Hoeffding 1948), the halved difference of two opposite
    halves varies by V1 + 2 V2 (as a jackknife does), their mean by V2. So V1 + V2 is found also where V1 vanishes, as
    in distances between equal distributions; a bootstrap would say V1 + 3 V2.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for done in range(rounds):
        tell(done, rounds)
        pairs.append(both(*(torch.randperm(count, generator=generator) for count in counts)))
    first, second = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    varied = ((first - second) / 2).var(0).tolist(), ((first + second) / 2).var(0).tolist()
    return [second_order_error(*each) for each in zip(*varied, strict=True)]


def second_order_error(jackknife: float, second: float) -> float:
    """Return the root of V1 + V2, given V1 + 2 V2 and V2; both are estimates, and the sum is never below V2."""
    return math.sqrt(max(jackknife - second, second, 0.0))


def shown(figure: Mapping[str, Any]) -> str:
    """Return a figure in JSON types as "0.31 (0.28 to 0.34)", with as many digits as its interval leaves standing."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    ends = [end for end in (low, high) if end is not None]
    width = max((abs(end - value) for end in ends), default=0.0)
    digits = max(-math.floor(math.log10(width)), 0) if width > 0 else 0 if float(value).is_integer() else 3
    said = ["more" if number is None else f"{number:,.{digits}f}" for number in (value, low, high)]
    return said[0] if len(set(said)) == 1 else f"{said[0]} ({said[1]} to {said[2]})"
