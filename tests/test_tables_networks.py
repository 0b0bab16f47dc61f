"""The networks of tables: probabilities that add up, rows that obey what is known, gradients through drawn tokens."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gandem.domains.tables.distributions import StraightThrough, gumbel_noise
from gandem.domains.tables.networks import TableDiscriminator, TableGenerator, build_networks, latents
from gandem.domains.tables.spec import Block, TableSpec
from gandem.errors import RecipeError
from gandem.game.noise_game import NoiseGame
from gandem.game.packing import pack_spec
from gandem.recipe import NetworkOptions


def block(*probabilities: float, residual: bool = False, missing: bool = False) -> Block:
    values = tuple(torch.linspace(-1, 1, len(probabilities)).tolist())
    return Block(len(probabilities), residual, True, values, tuple(math.log(each) for each in probabilities), missing)


SPEC = TableSpec.of([block(0.5, 0.3, 0.2), block(0.9, 0.1, residual=True), block(0.25, 0.25, 0.25, 0.25)])


def generator(spread: float = 0.15) -> TableGenerator:
    torch.manual_seed(0)
    made = TableGenerator(spec=SPEC, width=16)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return made.eval()


def cells() -> Tensor:
    """Every token of every column, with residuals 0."""
    rows = [torch.zeros(SPEC.shape) for _ in range(24)]
    for number, row in enumerate(rows):
        row[number // 8] = row[3 + number // 4 % 2] = row[6 + number % 4] = 1
    return torch.stack(rows)


@torch.no_grad()
def probabilities(made: TableGenerator, points: int = 1000) -> Tensor:
    """The probability of each of the 24 combinations, integrated over the residual."""
    rows = cells().repeat_interleave(points, 0)
    rows[:, 5] = (torch.arange(points) * 2 + 1).repeat(24) / points - 1
    return made.log_likelihood(rows).exp().view(24, points).mean(1) * 2


def test_probabilities_add_up_to_one() -> None:
    assert float(probabilities(generator()).sum()) == pytest.approx(1, abs=1e-3)


def test_rows_come_as_often_as_their_probability_says() -> None:
    made, count = generator(), 100_000
    rows = made(torch.randn(count, latents(SPEC), generator=torch.Generator().manual_seed(1)))
    number = rows[:, :3].argmax(1) * 8 + rows[:, 3:5].argmax(1) * 4 + rows[:, 6:].argmax(1)
    found = torch.bincount(number, minlength=24) / count
    assert float((found - probabilities(made)).abs().max()) < 0.005


@torch.no_grad()
def test_any_order_gives_rows_their_first_frequencies() -> None:
    made = TableGenerator(SPEC, 16).eval()
    expected = (math.log(0.5) + math.log(0.9) + math.log(0.25)) + math.log(0.5)  # residuals even over [-1, 1]
    row = cells()[:1]
    for order in ([0, 1, 2], [2, 0, 1]):
        assert float(made._log_likelihood(row, [order])) == pytest.approx(expected, abs=1e-4)


def test_known_cells_stay_and_change_the_others() -> None:
    made = generator(0.5)
    known = made.nothing(2000)
    known[:1000, 2] = 2
    known[1000:, 1], known[1000:, 3] = 1, 0.25
    latent = torch.randn(2000, latents(SPEC), generator=torch.Generator().manual_seed(1))
    rows, free = made.cells(latent, known), made.cells(latent)
    assert (rows[:1000, 2] == 2).all() and (rows[1000:, 1] == 1).all() and (rows[1000:, 3] == 0.25).all()
    assert (rows[:, :3] >= 0).all() and not torch.equal(rows[:, 0], free[:, 0])
    assert torch.allclose(made.cells(latent, made.nothing(2000)), free, atol=1e-5)


def test_short_rows_are_the_long_ones() -> None:
    made = generator(0.5)
    latent = torch.randn(2000, latents(SPEC), generator=torch.Generator().manual_seed(1))
    rows, short = made(latent), made.cells(latent)
    tokens = torch.stack([rows[:, :3].argmax(1), rows[:, 3:5].argmax(1), rows[:, 6:].argmax(1)], 1)
    assert torch.equal(short[:, :3], tokens.float()) and torch.allclose(short[:, 3], rows[:, 5], atol=1e-5)


def test_all_that_is_known_is_all_there_is() -> None:
    made = generator(0.5)
    known = made.cells(torch.randn(50, latents(SPEC)))
    assert torch.equal(made.cells(torch.randn(50, latents(SPEC)), known), known)


def test_weights_that_have_come_apart_make_rows_all_the_same() -> None:
    """The referee looks at them to roll the training back."""
    made = generator()
    with torch.no_grad():
        made.start.fill_(math.nan)
    short = made.cells(torch.randn(50, latents(SPEC)))[:, :3]
    assert (short >= 0).all() and (short < torch.tensor([3, 2, 4])).all()


@torch.no_grad()
def test_a_drawn_column_keeps_to_what_is_allowed() -> None:
    made = generator()
    known = made.nothing(500)
    allowed = torch.tensor([True, False, True])
    drawn, chance = made.draw(0, known, torch.rand(500, 2), allowed)
    assert set(drawn[:, 0].tolist()) == {0, 2}
    assert torch.allclose(made.draw(0, None, torch.rand(500, 2), allowed)[1], chance)  # the same where nothing is known
    everything = made.draw(0, known, torch.rand(500, 2), torch.ones(3, dtype=torch.bool))[1]
    assert torch.allclose(everything, torch.ones(500)) and float(chance[0]) < 1


def test_the_noise_makes_the_drawn_token_the_largest() -> None:
    logits = 3 * torch.randn(1000, 5)
    places = torch.distributions.Categorical(logits=logits).sample()
    assert torch.equal((logits + gumbel_noise(logits, places)).argmax(1), places)


def test_rare_tokens_do_not_tie_in_half_precision() -> None:
    """Of 8 bits, a draw of exactly 0 is one of some hundreds, and made any token as likely as the drawn one."""
    logits = torch.tensor([0.0, -12.0, -12.0, -12.0]).expand(20_000, -1).bfloat16()
    places = torch.zeros(20_000, dtype=torch.long)
    relaxed = (logits + gumbel_noise(logits, places)).softmax(1).mean(0)
    assert float(relaxed[1:].max()) < 1e-4


def test_drawn_tokens_have_the_gradient_of_what_was_relaxed() -> None:
    """The same noise twice: once from the formula, once through the function."""
    logits, weight = (3 * torch.randn(50, 5)).requires_grad_(), torch.randn(50, 5)
    places = torch.distributions.Categorical(logits=logits).sample()
    gradients = []
    for drawn in (
        lambda: (logits + gumbel_noise(logits.detach(), places)).softmax(1),
        lambda: StraightThrough.apply(logits, torch.nn.functional.one_hot(places, 5).float(), places),
    ):
        torch.manual_seed(1)
        (gradient,) = torch.autograd.grad((drawn() * weight).sum(), logits)
        gradients.append(gradient)
    assert torch.allclose(*gradients, atol=1e-6) and float(gradients[0].abs().max()) > 0.01


@torch.no_grad()
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_all_columns_at_once_are_one_after_the_other(order: list[int]) -> None:
    """Column by column, each given those before it in the order; one that is not known tells and is told nothing."""
    torch.manual_seed(0)
    spec = TableSpec.of([block(0.5, 0.3, 0.2), block(0.9, 0.1), block(0.25, 0.25, 0.25, 0.25)])
    made = TableGenerator(spec, 16).eval()
    for parameter in made.parameters():
        parameter.add_(0.5 * torch.randn_like(parameter))
    row, tokens = torch.zeros(1, 9), {0: 1, 1: 0, 2: 3}
    row[0, [1, 3, 8]] = 1
    for unknown in (None, 0, 2):
        known, expected = made.nothing(1), 0.0
        for at in order:
            if at != unknown:
                allowed = torch.arange(spec.blocks[at].tokens) == tokens[at]
                expected += math.log(float(made.draw(at, known, torch.rand(1, 2), allowed)[1]))
                known[0, at] = tokens[at]
        seen = row.clone()
        if unknown is not None:
            seen[0, spec.starts[unknown] : spec.starts[unknown] + spec.blocks[unknown].tokens] = 0
        assert float(made._log_likelihood(seen, [order])) == pytest.approx(expected, abs=1e-4)


def test_gradients_reach_the_heads_through_drawn_tokens() -> None:
    made = generator().train()
    rows = made(torch.randn(64, latents(SPEC)))
    assert set(rows[:, :3].detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}  # hard to whoever looks
    (rows @ torch.randn(SPEC.shape[0])).sum().backward()
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in made.parameters() if parameter.grad is not None)
    assert made.heads[0].weight.grad is not None  # the first column moves the last one's cells too


def test_the_game_learns_what_goes_with_what() -> None:
    torch.manual_seed(0)
    spec = TableSpec.of([block(0.5, 0.5), block(0.5, 0.5)])
    game = NoiseGame(
        TableGenerator(spec, 32), TableDiscriminator(spec, 32, 1), latent=latents(spec), likelihood=1.0, gamma=0.1
    )
    optimizers = {name: torch.optim.Adam(player.parameters(), lr=2e-2) for name, player in game.players.items()}
    for _ in range(60):
        for turn in game.turns:
            both = torch.randint(2, (64, 1))
            real = torch.cat([both == 0, both == 1, both == 0, both == 1], 1).float()
            batch = game.draw(64, torch.Generator().manual_seed(int(both.sum()))) | {"real": real}
            for name, player in game.players.items():
                player.requires_grad_(name == turn.player)
            loss, parts = turn.loss(batch, 0.5)
            optimizers[turn.player].zero_grad()
            loss.backward()
            optimizers[turn.player].step()
    rows = game.generator.eval()(torch.randn(2000, latents(spec)))
    assert float((rows[:, 0] == rows[:, 2]).float().mean()) > 0.95
    assert "surprise" in parts


def test_a_discriminator_takes_packs() -> None:
    made = TableDiscriminator(pack_spec(SPEC, 3), 16, 1)
    assert made(torch.randn(4, 3 * SPEC.shape[0])).shape == (4,)


def test_likelihood_needs_a_generator_that_knows_it() -> None:
    with pytest.raises(RecipeError, match="how probable"):
        NoiseGame(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1), likelihood=1.0)


def test_an_unknown_kind_of_networks_is_named() -> None:
    with pytest.raises(RecipeError, match="tables"):
        build_networks(SPEC, NetworkOptions(kind="residul", width=16, blocks=1))
