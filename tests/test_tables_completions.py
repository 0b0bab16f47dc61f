"""Rows of which something is known: as the generator's own order would have them, and no row hangs on another."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from gandem.domains.given import Frame
from gandem.domains.tables import TABLES
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.completing import imputed, scored
from gandem.domains.tables.completions import COMPLETIONS, chosen, completed
from gandem.domains.tables.networks import TableGenerator, latents
from gandem.domains.tables.spec import Block, TableSpec
from gandem.recipe import DataOptions

PLAIN = TableCodec([], [], [], [])
"""One without rules."""
SHARES = (0.5, 0.3, 0.2), (0.9, 0.1), (0.25, 0.25, 0.25, 0.25)
COUNT = 100_000


def generator(residual: bool = False) -> TableGenerator:
    """One whose orders disagree: nobody has taught it anything."""
    blocks = [
        Block(len(each), residual and at == 1, False, (), tuple(map(math.log, each)), False)
        for at, each in enumerate(SHARES)
    ]
    made = TableGenerator(TableSpec.of(blocks), width=16)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return made.eval()


def noise(made: TableGenerator, count: int = COUNT) -> Tensor:
    return torch.randn(count, latents(made.spec), generator=torch.Generator().manual_seed(1))


def knowing(made: TableGenerator, column: int, token: int, count: int = COUNT) -> Tensor:
    rows = made.nothing(count)
    rows[:, column] = token
    return rows


def every(made: TableGenerator) -> Tensor:
    """Every short row there is, (24, 3), without residuals."""
    return torch.cartesian_prod(*(torch.arange(float(len(each))) for each in SHARES))


def shares(rows: Tensor) -> Tensor:
    number = (rows[:, 0] * 8 + rows[:, 1] * 4 + rows[:, 2]).long()
    return torch.bincount(number, minlength=24) / len(rows)


def test_chances_of_what_is_open_add_up_to_one() -> None:
    made, rows = generator(), every(generator())
    assert float(made.log_chance(rows).exp().sum()) == pytest.approx(1, abs=1e-5)
    there = rows[rows[:, 2] == 1]
    assert float(made.log_chance(there, knowing(made, 2, 1, len(there))).exp().sum()) == pytest.approx(1, abs=1e-5)
    assert made.log_chance(rows, rows).abs().max() == 0  # nothing is open


def test_chances_are_those_that_training_goes_by() -> None:
    made = generator(residual=True)
    short = made.cells(noise(made, 500))
    whole = torch.zeros(500, *made.spec.shape)
    for at, start in enumerate(made.spec.starts):
        whole[torch.arange(500), start + short[:, at].long()] = 1
    whole[:, made.spec.starts[1] + 2] = short[:, 3]
    torch.testing.assert_close(made.log_chance(short), made.log_likelihood(whole), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("column", "token"), [(2, 3), (1, 1)])
def test_rows_are_as_the_generators_own_order_has_them(column: int, token: int) -> None:
    made = generator()
    rows = every(made)
    right = made.log_chance(rows).exp() * (rows[:, column] == token)
    right = right / right.sum()
    known = knowing(made, column, token)

    def off(found: Tensor) -> float:
        assert (found[:, column] == token).all()
        return float((shares(found) - right).abs().sum() / 2)

    before, after = off(made.cells(noise(made), known)), off(completed(PLAIN, made, noise(made), known))
    assert before > 0.05  # otherwise this test tests nothing
    assert after < before / 2  # three columns leave two latents to turn; tables have more


def test_what_the_order_begins_with_needs_no_choice() -> None:
    made = generator()
    for known in (None, knowing(made, 0, 1, 50), torch.zeros(50, 3)):
        torch.testing.assert_close(completed(PLAIN, made, noise(made, 50), known), made.cells(noise(made, 50), known))


def test_a_row_hangs_on_its_own_latents_alone() -> None:
    made = generator(residual=True)
    rows = completed(PLAIN, made, noise(made, 50), knowing(made, 2, 3, 50))
    again = completed(PLAIN, made, noise(made, 50)[20:30], knowing(made, 2, 3, 10))
    torch.testing.assert_close(again, rows[20:30])


def test_truncated_rows_stay_so() -> None:
    made = generator()
    rows = completed(PLAIN, made, 1e-3 * noise(made), knowing(made, 2, 3))
    assert len(rows.unique(dim=0)) == 1  # the middle of each column, whatever the turn


def test_choice_goes_by_weights_and_survives_ones_that_are_no_numbers() -> None:
    rows = torch.arange(float(COMPLETIONS)).view(-1, 1, 1).expand(-1, 1000, 1)
    turn = (torch.arange(1000) + 0.5) / 1000
    weights = torch.tensor([0.5, 0.25, 0.25, 0.0]).log()[:, None].expand(-1, 1000)
    assert chosen(rows, weights, turn).flatten().long().bincount(minlength=4).tolist() == [500, 250, 250, 0]
    lost = torch.full((COMPLETIONS, 1000), torch.nan)
    assert chosen(rows, lost, turn).flatten().long().bincount().tolist() == [250] * 4


@pytest.fixture(scope="module")
def ordered() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    low = rng.integers(1, 50, 2000)
    return pl.DataFrame({"high": low + rng.integers(0, 30, 2000), "low": low, "zone": rng.choice(["a", "b"], 2000)})


def test_completions_out_of_order_are_not_taken(ordered: pl.DataFrame) -> None:
    """What is out of order is put right, which piles low numbers up at high ones; the fewer the better."""
    data = TABLES.read(Frame(ordered), DataOptions())
    assert [str(rule) for rule in data.codec.rules] == ["low <= high"]
    made, names = TableGenerator(data.spec, 8).eval(), data.codec.names
    known = made.nothing(2000)
    cells = data.codec.cells(np.tile([20.0 if name == "high" else 1.0 for name in names], (2000, 1)))
    places = made.places(names.index("high"))
    known[:, places] = cells[:, places]

    def out(rows: Tensor) -> float:
        values = data.codec.values(rows)
        return float((values[:, names.index("low")] > values[:, names.index("high")]).mean())

    before = out(made.cells(noise(made, 2000), known))
    assert 0.3 < before < 0.8 and out(completed(data.codec, made, noise(made, 2000), known)) < before**3


def test_filled_numbers_are_in_order_with_known_ones_that_nobody_has_seen(ordered: pl.DataFrame) -> None:
    data = TABLES.read(Frame(ordered), DataOptions())
    assert ordered["low"].max() == 49
    holes = pl.DataFrame({"high": [None] * 50, "low": [60] * 50, "zone": ["a"] * 50}).cast({"high": pl.Int64})
    filled = imputed(data.codec, TableGenerator(data.spec, 8).eval(), Frame(holes), 0)
    assert (filled["high"] >= 60).all() and (filled["low"] == 60).all()


def test_rows_out_of_order_are_drawn_again(ordered: pl.DataFrame) -> None:
    """Independent columns are out of order in every third row; four draws leave one in a hundred."""
    rng = np.random.default_rng(1)
    data = TABLES.read(Frame(ordered.with_columns(ward=pl.Series(rng.choice(["x", "y"], 2000)))), DataOptions())
    made, names = TableGenerator(data.spec, 8).eval(), data.codec.names
    latent = torch.randn(2000, latents(data.spec), generator=torch.Generator().manual_seed(1))
    drawn, rows = made.cells(latent), completed(data.codec, made, latent, None)
    low, high = names.index("low"), names.index("high")
    wrong = [values[:, low] > values[:, high] for values in map(data.codec.values, (drawn, rows))]
    assert 0.2 < wrong[0].mean() < 0.5 and wrong[1].mean() < 0.03
    kept = torch.from_numpy(~wrong[0])
    assert torch.equal(rows[kept], drawn[kept])  # a row that is in order stays
    part = completed(data.codec, made, latent[500:600], None)
    torch.testing.assert_close(part, rows[500:600])
    for name in ("zone", "ward"):  # which have nothing to do with it
        again = rows[:, names.index(name)][~kept]
        assert float((again == again.min()).float().mean()) == pytest.approx(0.5, abs=0.07)


def test_rows_are_as_typical_as_new_ones(ordered: pl.DataFrame) -> None:
    """Beside rows that are drawn as these are, which keep to the order of the numbers."""
    data = TABLES.read(Frame(ordered), DataOptions())
    made = TableGenerator(data.spec, 8).eval()
    latent = torch.randn(2000, latents(data.spec), generator=torch.Generator().manual_seed(1))
    rows = data.codec.given(data.codec.read(completed(data.codec, made, latent, None)))
    typical = scored(data.codec, made, Frame(rows))["typical"]
    assert float((typical < 0.1).mean()) == pytest.approx(0.1, abs=0.025)
    assert float(typical.mean()) == pytest.approx(0.5, abs=0.02)
