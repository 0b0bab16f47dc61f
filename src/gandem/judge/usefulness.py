"""Are labelled samples useful? What a classifier of features learns from generated rows, and from real ones instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gandem.errors import JudgeError
from gandem.judge.classifier import fit
from gandem.judge.figure import Figure, comparable


@dataclass(frozen=True)
class Usefulness:
    """Accuracies in [0, 1], on rows that were not trained on (Ravuri and Vinyals 2019, classification accuracy score).

    generated_to_real: trained on generated rows and tested on held-out real ones; real_to_real: trained on as many real
    rows instead; real_to_generated: does a classifier of real rows agree with the labels that were asked for?
    by_class: generated_to_real of each class that has held-out rows, by its number.
    """

    generated_to_real: Figure
    real_to_real: Figure
    real_to_generated: Figure
    by_class: dict[int, Figure]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "generated_to_real": self.generated_to_real.to_dict(),
            "real_to_real": self.real_to_real.to_dict(),
            "real_to_generated": self.real_to_generated.to_dict(),
            "by_class": {str(label): figure.to_dict() for label, figure in self.by_class.items()},
        }


def usefulness(
    generated: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], *, seed: int = 0
) -> Usefulness:
    """Compare (features (n, d), labels int64 (n,)) of generated, real and held-out real samples.

    The larger of generated and real is cut to the size of the other. Intervals are of the tested rows. Raises
    JudgeError when the sets do not go together.
    """
    for name, (rows, labels) in {"generated": generated, "real": real, "held-out": held_out}.items():
        if len(rows) != len(labels):
            raise JudgeError(f"{len(rows)} {name} rows have {len(labels)} labels")
    rows, others, tested = comparable(2, generated=generated[0], real=real[0], held_out=held_out[0])
    count = min(len(rows), len(others))
    classes = 1 + max(int(labels.max()) for _, labels in (generated, real, held_out))
    labels = torch.stack([generated[1][:count], real[1][:count]])
    score = fit(
        torch.stack([rows[:count], others[:count]]),
        classes,
        lambda outputs, chosen: cross_entropy(outputs, labels[:, chosen], reduction="none"),
        seed=seed,
    )
    right, theirs = score(tested[None]).argmax(1) == held_out[1]
    return Usefulness(
        _share(right, count),
        _share(theirs, count),
        _share(score(rows[None])[1].argmax(0) == generated[1], count),
        {label: _share(right[held_out[1] == label], count) for label in held_out[1].unique().tolist()},
    )


def _share(right: Tensor, learnt_from: int) -> Figure:
    return Figure.of_share(int(right.sum()), len(right)).against(learnt_from)
