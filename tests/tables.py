"""Tables that tests share: one with everything in it that makes tables hard, and the shipped rows of Adult."""

import datetime as dt
import uuid
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl

DAY = dt.date(2015, 1, 5)
"""A Monday."""


def adult() -> Path:
    """1,500 rows of Adult."""
    return Path(str(resources.files("gandem") / "data" / "adult_1500.csv.gz"))


def everything(rows: int = 1200, seed: int = 0) -> pl.DataFrame:
    """Keys, personal data, dates, steps, atoms, gaps, rules, codes, constants, lists."""
    rng = np.random.default_rng(seed)
    began = [DAY + dt.timedelta(int(7 * week + day)) for week, day in rng.integers(0, (300, 5), (rows, 2))]
    city = rng.choice([f"city {number}" for number in range(30)], rows)
    a, c = rng.integers(0, 500, rows), 5 * rng.integers(0, 50, rows)
    b = rng.gamma(2, 30, rows).round(2)
    colour = rng.integers(0, 4, rows)
    celsius = rng.normal(10, 8, rows).round(1)
    gaps = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows))
    columns = {
        "id": np.arange(5000, 5000 + rows),
        "token": [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(rows)],
        "customer": [f"CU-{number:06d}" for number in rng.permutation(rows)],
        "contact": [f"p{number}@example{number % 9}.org" for number in range(rows)],
        "mobile": [f"+49 30 {number:07d}" for number in rng.integers(0, 9_999_999, rows)],
        "last_name": [f"X{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in rng.integers(0, 600, rows)],
        "began": began,
        "ended": [day + dt.timedelta(int(days)) for day, days in zip(began, rng.integers(0, 400, rows), strict=True)],
        "seen": [dt.datetime(2020, 1, 1) + dt.timedelta(minutes=15 * int(n)) for n in rng.integers(0, 50_000, rows)],
        "month": [dt.date(2000 + int(n) // 12, int(n) % 12 + 1, 1) for n in rng.integers(0, 200, rows)],
        "clock": [dt.time(int(hour), 30) for hour in rng.integers(8, 18, rows)],
        "city": city,
        "state": [f"S{int(name.split()[1]) % 7}" for name in city],
        "a": a,
        "b": b,
        "c": c,
        "total": (a + b + c).round(2),
        "celsius": celsius,
        "fahrenheit": (1.8 * celsius + 32).round(2),
        **{f"colour_{name}": (colour == number).astype(int) for number, name in enumerate("rgbk")},
        "gain": np.where(rng.random(rows) < 0.9, 0, rng.integers(1, 100_000, rows)),
        "constant": ["same"] * rows,
        "nothing": [None] * rows,
        "flag": rng.random(rows) < 0.3,
        "gaps": pl.Series(gaps).fill_nan(None),
        "note": [f"it was number {number} that said {rng.integers(1000)}" for number in range(rows)],
        "list": [[1, 2]] * rows,
        "many": rng.choice([f"k{number}" for number in range(600)], rows),
        "code": [f"0{number:04d}" for number in rng.integers(0, 100, rows)],
        "byte": rng.integers(0, 255, rows).astype(np.uint8),
        "money": pl.Series([f"{x:.2f}" for x in rng.random(rows) * 100]).cast(pl.Decimal(10, 2)),
        "lasted": [dt.timedelta(seconds=int(n)) for n in rng.integers(0, 10_000, rows)],
    }
    return pl.DataFrame(columns, strict=False)
