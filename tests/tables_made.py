"""A small table for the tests of the judge: numbers and categories that depend on each other, atoms, missing values."""

import numpy as np

from gandem.judge.tables.rows import Columns

COLUMNS = Columns(
    ("x", "y", "gain", "kind", "place", "bought"),
    np.array([False, False, False, True, True, True]),
    ((), (), (), ("a", "b", "c"), tuple(f"place {code}" for code in range(20)), ("no", "yes")),
)


def table(seed: int, n: int) -> np.ndarray:
    """Float64 (n, 6): x normal; y near x, missing where gain is; gain mostly 0; kind by x; place rare."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n).round(2)
    y = (x + 0.3 * rng.standard_normal(n)).round(2)
    gain = np.where(rng.random(n) < 0.8, 0.0, rng.exponential(1000, n).round())
    kind = np.clip(np.floor(x + 1 + 0.3 * rng.standard_normal(n)), 0, 2)
    place = np.minimum(rng.geometric(0.3, n) - 1, 19).astype(float)
    bought = (x + (gain > 0) + (kind == 2) + rng.logistic(size=n) > 1).astype(float)
    missing = rng.random(n) < 0.1
    y[missing] = gain[missing] = np.nan
    return np.stack([x, y, gain, kind, place, bought], 1)
