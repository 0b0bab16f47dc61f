"""Memorisation against plain loops, on honest generators and on ones that copy a known share."""

import math
import statistics
from bisect import bisect_right

import pytest
import torch
from torch import Tensor

from feature_sets import normal
from gandem.errors import JudgeError
from gandem.judge.diversity import cell_of, k_means
from gandem.judge.memorisation import Memorisation

TRAINING, HELD_OUT = normal(1, 90, 3), normal(2, 70, 3)
GENERATED = torch.cat([normal(3, 40, 3), TRAINING[:20] + normal(4, 20, 3, scale=0.02)])


def nearby(rows: Tensor, training: Tensor) -> list[list[float]]:
    """Sorted distances of each row to all training rows."""
    return [sorted(math.dist(row, other) for other in training.tolist()) for row in rows.tolist()]


def test_neighbour_ratio() -> None:
    ours, theirs = (statistics.median(row[0] for row in nearby(rows, TRAINING)) for rows in (GENERATED, HELD_OUT))
    figure = Memorisation.of(GENERATED, TRAINING, HELD_OUT).neighbour_ratio()
    assert figure.value == pytest.approx(ours / theirs, rel=1e-9) and (figure.n, figure.n_reference) == (60, 70)
    with pytest.raises(JudgeError, match="every held-out row is a training row"):
        Memorisation.of(GENERATED, TRAINING, TRAINING[:30]).neighbour_ratio()
    assert Memorisation.of(TRAINING[:30], TRAINING, TRAINING[:30]).neighbour_ratio().value == 1
    most = torch.cat([TRAINING[:30], HELD_OUT[:10]])
    means = [statistics.mean(row[0] for row in nearby(rows, TRAINING)) for rows in (GENERATED, most)]
    assert Memorisation.of(GENERATED, TRAINING, most).neighbour_ratio().value == pytest.approx(means[0] / means[1])


@pytest.mark.parametrize("cells", [1, 2])
def test_data_copying(cells: int) -> None:
    """Mann-Whitney's U by counting pairs, its z-score by the formula of the paper."""
    centres = k_means(TRAINING, cells)
    near = [[row[0] for row in nearby(rows, TRAINING)] for rows in (GENERATED, HELD_OUT)]
    here = [cell_of(rows, centres).tolist() for rows in (GENERATED, HELD_OUT)]
    total = 0.0
    for cell in range(cells):
        ours, theirs = ([d for d, c in zip(*set_, strict=True) if c == cell] for set_ in zip(near, here, strict=True))
        m, n = len(ours), len(theirs)
        assert min(m, n) >= 20
        u = sum((a > b) + 0.5 * (a == b) for a in ours for b in theirs)
        total += n / len(HELD_OUT) * (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)
    figure = Memorisation.of(GENERATED, TRAINING, HELD_OUT).data_copying(cells)
    assert figure.value == pytest.approx(total, rel=1e-9)
    assert figure.low < figure.value < figure.high


def test_authenticity() -> None:
    own = [row[1] for row in nearby(TRAINING, TRAINING)]  # the first is the row itself
    shares = Memorisation.of(GENERATED, TRAINING, HELD_OUT).authenticity()
    for figure, rows in ((shares.generated, GENERATED), (shares.held_out, HELD_OUT)):
        distances = [[math.dist(row, other) for other in TRAINING.tolist()] for row in rows.tolist()]
        authentic = [min(row) > own[row.index(min(row))] for row in distances]
        assert figure.value == pytest.approx(sum(authentic) / len(rows), rel=1e-12)


def test_copied_share_and_closest_pairs() -> None:
    found = Memorisation.of(GENERATED, TRAINING, HELD_OUT)
    ours, theirs = ([20 * row[0] / sum(row[:20]) for row in nearby(rows, TRAINING)] for rows in (GENERATED, HELD_OUT))
    limit = sorted(theirs)[6]  # the seventh of 70 is the tenth percentile
    shares = found.copied_share(0.1)
    assert shares.generated.value == pytest.approx(bisect_right(sorted(ours), limit) / 60, rel=1e-12)
    assert shares.held_out.value == pytest.approx(0.1, rel=1e-12)
    assert shares.generated.low < shares.generated.value < shares.generated.high
    pairs = found.closest_pairs(5)
    assert pairs.generated.tolist() == sorted(range(60), key=lambda row: ours[row])[:5]
    assert pairs.closeness.tolist() == pytest.approx(sorted(ours)[:5], rel=1e-9)
    assert (pairs.training == pairs.generated - 40).all()  # the copies were made of the first twenty, in order
    distances = (GENERATED[pairs.generated] - TRAINING[pairs.training]).norm(dim=1)
    assert pairs.distance.tolist() == pytest.approx(distances.tolist(), rel=1e-9)


def test_honest_generators_are_called_honest() -> None:
    """Over 40 of them, each interval holds what honesty is in 90 % or more."""
    held = dict.fromkeys(("ratio", "copying", "copied"), 0)
    for seed in range(40):
        found = Memorisation.of(normal(3 * seed, 300, 6), normal(3 * seed + 1, 500, 6), normal(3 * seed + 2, 300, 6))
        figures = found.neighbour_ratio(), found.data_copying(), found.copied_share().generated
        for name, figure, truth in zip(held, figures, (1, 0, 0.01), strict=True):
            held[name] += figure.low <= truth <= figure.high
    assert min(held.values()) >= 36


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_copies_are_found(share: float) -> None:
    training, held_out, generated = normal(1, 800, 8), normal(2, 400, 8), normal(3, 400, 8)
    copies = int(share * 400)
    generated[:copies] = training[:copies] + normal(4, copies, 8, scale=0.02)
    found = Memorisation.of(generated, training, held_out)
    copied = found.copied_share().generated
    assert copied.low > 0.03 and copied.low <= share + 0.01 <= copied.high
    if share == 0.5:  # a median and a rank test over all rows are blind to a few copies
        assert found.data_copying().high < 0 and found.neighbour_ratio().value < 0.9
    shares = found.authenticity()
    assert shares.generated.value < shares.held_out.value
    assert found.closest_pairs(copies).generated.sort().values.tolist() == list(range(copies))


def test_copies_among_places_of_unlike_density() -> None:
    """Where all rows are alike their distances are small; copies elsewhere are told by what is usual there."""

    def mixed(seed: int, n: int) -> Tensor:
        return torch.cat([normal(seed, n // 2, 6, scale=0.01), normal(seed + 1, n // 2, 6, shift=50)])

    training, generated = mixed(1, 600), mixed(5, 300)
    generated[150:180] = training[300:330] + normal(7, 30, 6, scale=0.1)
    copied = Memorisation.of(generated, training, mixed(3, 300)).copied_share()
    assert copied.generated.value == pytest.approx(0.1, abs=0.03)


def test_a_sight_that_is_common_is_no_copy() -> None:
    """Blank pictures, in the training rows, held-out and generated alike, are nobody's secret."""
    blank = torch.zeros(60, 4, dtype=torch.float64)
    sets = [torch.cat([normal(seed, 300, 4), blank]) for seed in range(3)]
    found = Memorisation.of(*sets)
    copied = found.copied_share().generated
    assert copied.low <= 0.01 <= copied.high and found.closest_pairs(8).closeness.min() > 0


def test_a_generator_in_one_place_is_still_compared() -> None:
    training = torch.cat([normal(place, 100, 3, shift=20.0 * place) for place in range(4)])
    held_out = torch.cat([normal(place + 9, 30, 3, shift=20.0 * place) for place in range(4)])
    for generated in (normal(20, 100, 3), normal(20, 100, 3, shift=500)):
        assert math.isfinite(Memorisation.of(generated, training, held_out).data_copying(4).value)


def test_a_copy_is_found_behind_a_variant_and_each_sample_counts_once() -> None:
    training, held_out, fresh = normal(1, 800, 6), normal(2, 300, 6), normal(3, 300, 6)
    change = 3.0 * torch.eye(6, dtype=torch.float64)[0]  # what a shift of a picture does to its features
    changed = torch.cat([training[:60] + change, fresh[60:]])
    hidden = Memorisation.of(changed, training, held_out).copied_share().generated
    both = (torch.cat([rows, rows - change]) for rows in (changed, held_out))
    found = Memorisation.of(next(both), training, next(both), variants=2)
    assert found.copied_share().generated.value >= 0.2 > hidden.value
    assert len(found.generated.closeness) == 300 == len(found.held_out.closeness)
    pairs = found.closest_pairs(60)
    assert set(pairs.generated.tolist()) == set(range(60)) and torch.equal(pairs.generated, pairs.training)
