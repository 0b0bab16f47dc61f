"""Which of several completions of a row is taken.

A generator draws in any order, but knows its own best: half of what it learns is in that. So what is known is completed
several times, and of these rows one is taken, by how probable it is in the generator's own order beside how probable it
was to be drawn in another (sampling importance resampling, Rubin 1987).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.keys import hashed, uniform_from
from gandem.domains.tables.networks import TableGenerator

COMPLETIONS = 4


@torch.no_grad()
def completed(codec: TableCodec, generator: TableGenerator, latent: Tensor, known: Tensor | None) -> Tensor:
    """Return short rows (n, columns + residuals) of latents; what is known of them, as in `cells`, stays.

    The same columns must be known of all rows. A row depends on its own latents alone.
    """
    if known is None:
        return _in_order(codec, generator, latent)
    if not (codec.orders or _is_other_order(generator, known)):
        return generator.cells(latent, known)
    unused = int((known[0, : generator.columns] >= 0).int().argmax())  # its latent is free to choose by
    rows = torch.stack([generator.cells(_other(latent, turn), known) for turn in range(COMPLETIONS)])
    weights = torch.stack([log_weight(codec, generator, each, known) for each in rows])
    return chosen(rows, weights, torch.special.ndtr(latent[:, unused]))


def _in_order(codec: TableCodec, generator: TableGenerator, latent: Tensor) -> Tensor:
    """Return short rows of latents; those whose numbers are not in the order that rules want are drawn again.

    What is still wrong after that is put right when it is decoded, which makes numbers equal more often than they are.
    """
    rows = generator.cells(latent)
    for turn in range(1, COMPLETIONS):
        wrong = _out_of_order(codec, rows)
        if not wrong.any():
            break
        rows[wrong] = generator.cells(_other(latent[wrong], turn))
    return rows


def _other(latent: Tensor, turn: int) -> Tensor:
    """Return other latents (n, size) for a turn, as long, and so as truncated, as the first ones, which turn 0 has.

    They are drawn by a hash of those: a row still hangs on its own latents alone, but what these had to do with the
    row that is drawn again does not come back in other columns.
    """
    if not turn:
        return latent
    size = latent.shape[1]
    drawn = uniform_from(hashed([*latent.double().numpy().T]), size, turn * size)
    other = torch.special.ndtri(torch.from_numpy(drawn)).to(latent.dtype)
    return other * (latent.norm(dim=1, keepdim=True) / other.norm(dim=1, keepdim=True))


def log_weight(codec: TableCodec, generator: TableGenerator, rows: Tensor, known: Tensor) -> Tensor:
    """Return by how much, as a logarithm (n,), whole rows are more probable than they were to be drawn.

    Rows whose numbers are not in the order that rules want have no weight.
    """
    weight = generator.log_chance(rows) - generator.log_chance(rows, known)
    weight[_out_of_order(codec, rows)] = -torch.inf
    return weight


def _out_of_order(codec: TableCodec, rows: Tensor) -> Tensor:
    """Return which rows (n,) hold numbers in another order than rules want."""
    if not codec.orders:
        return torch.zeros(len(rows), dtype=torch.bool)
    values = dict(zip(codec.names, codec.values(rows).T, strict=True))
    return torch.from_numpy(np.any([rule.wrong(values) for rule in codec.orders], 0))


def chosen(rows: Tensor, log_weights: Tensor, quantiles: Tensor) -> Tensor:
    """Return one of the rows (k, n, c) for each n, (n, c), by their weights (k, n) at quantiles (n,)."""
    ends = log_weights.nan_to_num(-torch.inf).double().softmax(0).nan_to_num(1.0).cumsum(0)
    place = (ends < quantiles * ends[-1]).sum(0).clamp_max(len(rows) - 1)
    return rows[place, torch.arange(rows.shape[1])]


def _is_other_order(generator: TableGenerator, known: Tensor) -> bool:
    """Whether what is known is not what the generator begins with in its own order."""
    there = (known[0, : generator.columns] >= 0).int()
    return bool((there.diff() > 0).any())
