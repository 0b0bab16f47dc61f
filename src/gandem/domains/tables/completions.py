"""Which of several completions of a row is taken.

A generator draws in any order, but knows its own best: half of what it learns is in that. So what is known is completed
several times, and of these rows one is taken, by how probable it is in the generator's own order beside how probable it
was to be drawn in another (sampling importance resampling, Rubin 1987).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gandem.domains.tables.networks import TableGenerator

COMPLETIONS = 4


@torch.no_grad()
def completed(generator: TableGenerator, latent: Tensor, known: Tensor | None) -> Tensor:
    """Return short rows (n, columns + residuals) of latents; what is known of them, as in `cells`, stays.

    The same columns must be known of all rows. A row depends on its own latents alone.
    """
    if known is None or _is_beginning(generator, known):
        return generator.cells(latent, known)
    quantiles = torch.special.ndtr(latent)
    turned = [torch.special.ndtri((quantiles + part / COMPLETIONS) % 1) for part in range(COMPLETIONS)]
    rows = torch.stack([generator.cells(each, known) for each in turned])
    weights = torch.stack([log_weight(generator, each, known) for each in rows])
    unused = int((known[0, : generator.columns] >= 0).int().argmax())
    return chosen(rows, weights, quantiles[:, unused])


def log_weight(generator: TableGenerator, rows: Tensor, known: Tensor) -> Tensor:
    """Return by how much, as a logarithm (n,), whole rows are more probable than they were to be drawn."""
    return generator.log_chance(rows) - generator.log_chance(rows, known)


def chosen(rows: Tensor, log_weights: Tensor, quantiles: Tensor) -> Tensor:
    """Return one of the rows (k, n, c) for each n, (n, c), by their weights (k, n) at quantiles (n,)."""
    ends = log_weights.nan_to_num(-torch.inf).double().softmax(0).nan_to_num(1.0).cumsum(0)
    place = (ends < quantiles * ends[-1]).sum(0).clamp_max(len(rows) - 1)
    return rows[place, torch.arange(rows.shape[1])]


def _is_beginning(generator: TableGenerator, known: Tensor) -> bool:
    """Whether what is known is what the generator begins with, so that there is but one order."""
    there = (known[0, : generator.columns] >= 0).int()
    return bool((there.diff() <= 0).all()) if len(there) > 1 else True
