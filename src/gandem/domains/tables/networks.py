"""Generator and discriminator of rows: one draws cell by cell, the other looks at whole rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gandem.domains.layers import Residual
from gandem.domains.tables.distributions import (
    TINY,
    StraightThrough,
    cumulated,
    logistic_log_chance,
    logistic_log_density,
    quantiles_of,
    tokens_at,
)
from gandem.domains.tables.spec import TableSpec
from gandem.errors import RecipeError, nearest
from gandem.recipe import NetworkOptions

LEVELS = 16
"""Thresholds of a number that the discriminator sees, at even parts of the training data."""
SIDE_BY_SIDE = 16
"""Columns whose sizes are seen by one matrix: more of them at once would mostly be zeros."""


class TableGenerator(nn.Module):
    """A row, cell by cell: each is drawn from what the network expects, given the cells that are known by then.

    The known cells' embeddings are added up, h = start + sum_i E_i(x_i) (of a bin a line over its residual), and column
    c has the logits V_c f(h) (Uria et al. 2016, "NADE"; in any order, Uria et al. 2014). As the order is free, whatever
    is known in advance comes first: the same network answers every condition, fills gaps, and says how probable a row
    is. Output biases are the log frequencies and weights zero at first, so that a training starts from independent
    columns.

    Every cell has a latent of its own, the quantile at which it is drawn, and a second one where it has a residual: the
    row is a function of its latents. In training the gradient of a drawn token is that of a softmax relaxed by the
    Gumbel noise under which this very token is drawn (Jang et al. 2017, straight-through; Maddison et al. 2014).
    """

    at_once = 2048
    binned: Tensor
    residual_places: Tensor
    column_of: Tensor
    token_of: Tensor
    token_starts: Tensor
    slope_starts: Tensor

    def __init__(self, spec: TableSpec, width: int) -> None:
        super().__init__()
        self.spec = spec
        tokens = [block.tokens for block in spec.blocks]
        self._token_starts = list(accumulate(tokens[:-1], initial=0))
        self.residuals = {at: place for place, at in enumerate(_with_residuals(spec))}
        self.start = nn.Parameter(torch.zeros(width))
        self.embedding = nn.Parameter(torch.randn(sum(tokens), width) / (2 * math.sqrt(len(tokens))))
        binned = [tokens[at] for at in self.residuals]
        self._slope_starts = dict(zip(self.residuals, accumulate(binned[:-1], initial=0), strict=False))
        self.slopes = nn.Parameter(torch.zeros(sum(binned), width))
        starts = {"token_starts": self._token_starts, "slope_starts": self._slope_starts.values()}
        for name, numbers in (starts | _places_in_rows(spec)).items():
            self.register_buffer(name, torch.tensor([*numbers], dtype=torch.long), persistent=False)
        heads = [nn.Linear(width, block.tokens) for block in spec.blocks]
        self.heads = nn.ModuleList(heads)
        self.residual_heads = nn.ModuleList(nn.Linear(width, 2) for _ in self.residuals)
        for head in (*self.heads, *self.residual_heads):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            for head, block in zip(heads, spec.blocks, strict=True):
                head.bias.copy_(torch.tensor(block.log_probabilities).clamp_min(math.log(TINY)))

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return len(self.spec.blocks)

    def forward(self, latent: Tensor) -> Tensor:
        """Map latents (n, columns + residuals) to rows (n, *shape), through which gradients pass."""
        quantiles = quantiles_of(latent)
        h = self.start.expand(latent.shape[0], -1)
        rows = []
        for at in range(self.columns):
            token, embedded = self._one_hot(at, self._logits(at, h), quantiles[at])
            h = h + embedded
            rows.append(token)
            if at in self.residuals:
                residual = self._residual(at, h, quantiles[self.columns + self.residuals[at]])
                h = h + self._slope(at, token, residual)
                rows.append(residual)
        return torch.cat(rows, 1)

    @torch.no_grad()
    def cells(self, latent: Tensor, known: Tensor | None = None) -> Tensor:
        """Map latents to the same rows in short, (n, columns + residuals): the number of each token, then residuals.

        known: such rows, of which what is known stays; a token of -1 is not.
        """
        quantiles = quantiles_of(latent)
        cells = list(quantiles if known is None else known.split(1, 1))
        h = self._know(known)
        for at in range(self.columns):
            open_ = None if known is None else cells[at] < 0
            if open_ is not None and not open_.any():
                continue
            places = self.places(at)
            drawn, after = self._drawn(at, h, self._logits(at, h), [quantiles[place] for place in places])
            h = after if open_ is None else torch.where(open_, after, h)
            for place, cell in zip(places, drawn, strict=True):
                cells[place] = cell if open_ is None else torch.where(open_, cell, cells[place])
        return torch.cat(cells, 1)

    @torch.no_grad()
    def log_chance(self, cells: Tensor, known: Tensor | None = None) -> Tensor:
        """Return log p (n,) of whole short rows, of the cells that are not known, when they are drawn as in `cells`."""
        h, found = self._know(known), torch.zeros(len(cells))
        for at in range(self.columns):
            open_ = None if known is None else known[:, [at]] < 0
            if open_ is not None and not open_.any():
                continue
            token = cells[:, [at]].long()
            logits = self._logits(at, h)
            chance = (logits.expand(len(cells), -1).gather(1, token) - logits.logsumexp(1, keepdim=True)).squeeze(1)
            after = h + self.embedding[self._token_starts[at] :].index_select(0, token.squeeze(1))
            if at in self.residuals:
                residual = cells[:, [self.columns + self.residuals[at]]]
                chance = chance + logistic_log_density(*self._logistic_of(at, after), residual).squeeze(1)
                slope = self.slopes[self._slope_starts[at] :].index_select(0, token.squeeze(1))
                after = torch.addcmul(after, residual, slope)
            h = after if open_ is None else torch.where(open_, after, h)
            found += chance if open_ is None else torch.where(open_.squeeze(1), chance, 0.0)
        return found

    def log_likelihood(self, rows: Tensor, bounds: Tensor | None = None) -> Tensor:
        """Return log p(row) (n,) of rows (n, *shape), in nats; the density of a residual is that within its bin.

        bounds: (n, columns, 2), between which residuals lies what stands for the same value: then its probability
        counts, and no density. In training the second half of the rows is read in another order each time, for all
        that may be known.
        """
        orders = [list(range(self.columns))]
        if self.training and len(rows) > 1:
            orders.append(torch.randperm(self.columns).tolist())
        return self._log_likelihood(rows, orders, bounds)

    def _log_likelihood(self, rows: Tensor, orders: list[list[int]], bounds: Tensor | None = None) -> Tensor:
        """Return log p of rows, of which each order reads an equal part; all columns are asked at once."""
        tokens, residuals = self._read(rows)
        there, places = (tokens >= 0).to(rows.dtype), tokens.clamp_min(0)
        embedded = F.embedding(places + self.token_starts, self.embedding) * there[..., None]
        binned = self.binned
        sloped = F.embedding(places[:, binned] + self.slope_starts, self.slopes)
        cells = embedded.index_add(1, binned, sloped * (residuals * there[:, binned])[..., None])
        parts = zip(cells.tensor_split(len(orders)), orders, strict=True)
        before = torch.cat([self._before(part, order) for part, order in parts])
        expected = F.leaky_relu(before, 0.2).unbind(1)
        surprises = [
            F.cross_entropy(head(h), token, ignore_index=-1, reduction="none")
            for head, h, token in zip(self.heads, expected, tokens.unbind(1), strict=True)
        ]
        found = -torch.stack(surprises).sum(0)
        if self.residuals:
            shift, scale = self._logistic((before + embedded)[:, binned])
            told = (
                logistic_log_density(shift, scale, residuals)
                if bounds is None
                else logistic_log_chance(shift, scale, bounds[:, binned])
            )
            found = found + (told * there[:, binned]).sum(1)  # a cell that is not known has none
        return found

    def _before(self, cells: Tensor, order: list[int]) -> Tensor:
        """Return h before each column, where cells (n, columns, width) come in an order; of the same shape."""
        h, each, before = self.start.expand(len(cells), -1), cells.unbind(1), {}
        for at in order:
            before[at] = h
            h = h + each[at]
        return torch.stack([before[at] for at in range(self.columns)], 1)

    def _read(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens (n, columns) of whole rows, -1 where none is known, and residuals (n, residuals)."""
        row, place = rows.nonzero().unbind(1)  # of every one-hot one place; what residuals fill goes to a last column
        tokens = torch.full((len(rows), self.columns + 1), -1, device=rows.device)
        tokens[row, self.column_of[place]] = self.token_of[place]
        return tokens[:, :-1], rows[:, self.residual_places]

    def nothing(self, count: int) -> Tensor:
        """Return short rows, as in `cells`, (count, columns + residuals), of which nothing is known."""
        rows = torch.zeros(count, latents(self.spec))
        rows[:, : self.columns] = -1
        return rows

    def places(self, column: int) -> list[int]:
        """Return where the cells of a column stand in a short row: its token, and its residual if it has one."""
        return [column] + ([self.columns + self.residuals[column]] if column in self.residuals else [])

    @torch.no_grad()
    def draw(self, column: int, known: Tensor | None, quantiles: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one column's cells, for its `places` in short rows (n, columns + residuals) of what is known.

        quantiles: (n, 2), for token and residual. allowed: which part of each token may be drawn, bool or from 0 to 1,
        (tokens,) or (n, tokens).
        Returns the cells and how probable it was that an allowed token comes, (n,); without rows, (1,).
        """
        h = self._know(known)
        logits = self._logits(column, h)
        chance = (logits.softmax(1) * allowed).sum(1)
        cells, _ = self._drawn(column, h, logits + allowed.to(logits.dtype).log(), quantiles.split(1, 1))
        return torch.cat(cells, 1), chance

    def _know(self, known: Tensor | None) -> Tensor:
        """Return h (n, width) of what is known as in `cells`; of nothing (1, width), the same for all rows."""
        if known is None:
            return self.start[None]
        tokens = known[:, : self.columns]
        there, places = (tokens >= 0).to(known.dtype), tokens.clamp_min(0).long()
        of_tokens, of_slopes = places + self.token_starts, places[:, self.binned] + self.slope_starts
        h = self.start + F.embedding_bag(of_tokens, self.embedding, mode="sum", per_sample_weights=there)
        if self.residuals:
            weights = known[:, self.columns :] * there[:, self.binned]
            h += F.embedding_bag(of_slopes, self.slopes, mode="sum", per_sample_weights=weights)
        return h

    def _drawn(self, at: int, h: Tensor, logits: Tensor, quantiles: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the cells of a column, each (n, 1), at quantiles (n, 1) for each, and h (n, width) with them.

        One row of h and logits stands for all.
        """
        token = tokens_at(logits, quantiles[0])
        h = h + self.embedding[self._token_starts[at] :].index_select(0, token.squeeze(1))
        if at not in self.residuals:
            return [token.to(h.dtype)], h
        residual = self._residual(at, h, quantiles[1])
        slope = self.slopes[self._slope_starts[at] :].index_select(0, token.squeeze(1))
        return [token.to(h.dtype), residual], torch.addcmul(h, residual, slope)

    def _logits(self, at: int, h: Tensor) -> Tensor:
        logits: Tensor = self.heads[at](F.leaky_relu(h, 0.2))
        return logits

    def _embed(self, at: int, token: Tensor) -> Tensor:
        start = self._token_starts[at]
        return token @ self.embedding[start : start + token.shape[1]]

    def _slope(self, at: int, token: Tensor, residual: Tensor) -> Tensor:
        start = self._slope_starts[at]
        return residual * (token @ self.slopes[start : start + token.shape[1]])

    def _one_hot(self, at: int, logits: Tensor, quantiles: Tensor) -> tuple[Tensor, Tensor]:
        """Return one-hots (n, tokens) of the tokens at quantiles (n, 1), and their embeddings (n, width)."""
        reached = cumulated(logits.detach())
        places = (reached < quantiles * reached[:, -1:]).sum(1)  # what `tokens_at` finds, but can be exported
        token = F.one_hot(places, logits.shape[1]).to(logits.dtype)
        if not (self.training and logits.requires_grad):
            return token, self.embedding[self._token_starts[at] + places]
        token = StraightThrough.apply(logits, token, places)
        return token, self._embed(at, token)

    def _residual(self, at: int, h: Tensor, quantiles: Tensor) -> Tensor:
        """Return residuals (n, 1) at quantiles (n, 1): logit((1 + r) / 2) is logistic, around what the head says."""
        shift, scale = self._logistic_of(at, h)
        return 2 * torch.sigmoid(shift + scale.exp() * torch.logit(quantiles)) - 1

    def _logistic_of(self, at: int, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and log scale (n, 1) of a column's residual, after its token came to h (n, width)."""
        shift, scale = self.residual_heads[self.residuals[at]](F.leaky_relu(h, 0.2)).chunk(2, 1)
        return shift, scale

    def _logistic(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return shifts and log scales (n, residuals) of all residuals, from h (n, residuals, width)."""
        heads = cast(Sequence[nn.Linear], self.residual_heads)
        weight, bias = torch.stack([head.weight for head in heads]), torch.stack([head.bias for head in heads])
        found = F.leaky_relu(h, 0.2).transpose(0, 1) @ weight.transpose(1, 2) + bias[:, None]
        shift, scale = found.transpose(0, 1).unbind(2)
        return shift, scale


class TableDiscriminator(nn.Module):
    """Rows, or packs of them, to logits; of numbers it sees the size too, and which of some thresholds they exceed."""

    def __init__(self, spec: TableSpec, width: int, blocks: int) -> None:
        super().__init__()
        self.row = sum(block.width for block in spec.blocks)
        sizes = [_Sizes(spec, at) for at in range(0, len(spec.blocks), SIDE_BY_SIDE)]
        self.sizes = nn.ModuleList(sizes)
        seen = self.row + sum(each.matrix.shape[1] for each in sizes)
        self.first = nn.Linear(spec.shape[0] // self.row * seen, width)
        self.blocks = nn.Sequential(*(Residual(width, blocks) for _ in range(blocks)))
        self.last = nn.Linear(width, 1)

    def forward(self, rows: Tensor) -> Tensor:
        """Map (n, *shape) to logits (n,)."""
        each = rows.view(-1, self.row)
        seen = torch.cat([each, *(sizes(each) for sizes in self.sizes)], 1).view(len(rows), -1)
        return self.last(F.leaky_relu(self.blocks(self.first(seen)), 0.2)).squeeze(1)


class _Sizes(nn.Module):
    """Sizes and thresholds of the ordered ones among SIDE_BY_SIDE columns, a linear map of their one-hots."""

    matrix: Tensor

    def __init__(self, spec: TableSpec, first: int) -> None:
        super().__init__()
        blocks = spec.blocks[first : first + SIDE_BY_SIDE]
        self.start, width = spec.starts[first], sum(block.width for block in blocks)
        thresholds = torch.linspace(-1, 1, LEVELS + 2)[1:-1]
        features, at = [torch.zeros(width, 0)], 0
        for block in blocks:
            if block.ordered:
                seen = torch.zeros(width, 1 + LEVELS)
                values = torch.tensor(block.values)[:, None]
                seen[at : at + block.tokens] = torch.cat([values, (values > thresholds).float()], 1)
                if block.missing:
                    seen[at + block.tokens - 1] = 0
                features.append(seen)
            at += block.width
        self.register_buffer("matrix", torch.cat(features, 1), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Map whole rows (n, width of all) to (n, features)."""
        return rows[:, self.start : self.start + len(self.matrix)] @ self.matrix.to(rows.dtype)


def _with_residuals(spec: TableSpec) -> list[int]:
    return [at for at, block in enumerate(spec.blocks) if block.residual]


def _places_in_rows(spec: TableSpec) -> dict[str, list[int]]:
    """Return which columns have a residual and where in a row, and the column and token of every place in a row.

    The column of a residual's place is one that there is not, behind all others.
    """
    blocks, binned = spec.blocks, _with_residuals(spec)
    places = [(at, token) for at, block in enumerate(blocks) for token in range(block.width)]
    return {
        "binned": binned,
        "residual_places": [spec.starts[at] + blocks[at].tokens for at in binned],
        "column_of": [at if token < blocks[at].tokens else len(blocks) for at, token in places],
        "token_of": [token for _, token in places],
    }


def latents(spec: TableSpec) -> int:
    """Return how many numbers a row is made from: one for each cell, and one for each residual."""
    return len(spec.blocks) + len(_with_residuals(spec))


NETWORKS: dict[str, Any] = {
    "residual": lambda spec, options: (
        TableGenerator(spec, options.width),
        TableDiscriminator(spec, options.width, options.blocks),
    )
}


def build_networks(spec: TableSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
    """Return (generator, discriminator) by `options.kind`; raises RecipeError for one that tables do not have."""
    if options.kind not in NETWORKS:
        raise RecipeError(f"network.kind = {options.kind!r} is not known for tables.{nearest(options.kind, NETWORKS)}")
    networks: tuple[nn.Module, nn.Module] = NETWORKS[options.kind](spec, options)
    return networks
