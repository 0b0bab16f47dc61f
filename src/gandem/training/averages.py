"""Moving averages of the generator, and such of any length after the fact (Karras et al. 2024, "EDM2", section 3).

The power-function average after t images is (gamma + 1) / t^(gamma + 1) times the integral of tau^gamma theta(tau) over
the training: its width is always the same part sigma of what has passed. Two of them are kept while the training goes
on, and snapshots of both on disk; an average of another width is the sum of snapshots whose profile is nearest to its
own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gandem.errors import RecipeError, RunError
from gandem.training.checkpoint import storing, weights, write_atomic

SIGMAS = (0.05, 0.10)
"""Widths of the two averages that are kept."""
NARROWEST, WIDEST = 0.02, 0.25
"""Widths that snapshots of those two can say something of."""


@torch.no_grad()
def follow(average: nn.Module, player: nn.Module, decay: float) -> None:
    """Move the weights of an average towards a player's, keeping `decay` of themselves; copy what does not learn."""
    pairs = list(zip(average.parameters(), player.parameters(), strict=True))
    moved = [pair for pair in pairs if pair[1].requires_grad]
    if moved:
        torch._foreach_lerp_([mean for mean, _ in moved], [weight for _, weight in moved], 1 - decay)
    fixed = [pair for pair in pairs if not pair[1].requires_grad]
    for copied, value in [*fixed, *zip(average.buffers(), player.buffers(), strict=True)]:
        copied.copy_(value)


def learning(player: nn.Module) -> set[str]:
    """Return the names of what learns."""
    return {name for name, parameter in player.named_parameters() if parameter.requires_grad}


def exponent(sigma: float) -> float:
    """Return gamma of the power-function average of width sigma = sqrt(gamma + 1) / (gamma + 2) / sqrt(gamma + 3).

    That is the largest root of (gamma + 2)^2 (gamma + 3) - (gamma + 1) / sigma^2.
    """
    return float(np.roots([1, 7, 16 - sigma**-2, 12 - sigma**-2]).real.max())


def coefficients(times: np.ndarray, sigmas: np.ndarray, time: float, sigma: float) -> np.ndarray:
    """Return the weights (n,) of averages taken at `times` (n,) with widths `sigmas` (n,) that sum to one like another.

    Least squares over the profiles p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1) on [0, t]; where a is the earlier of
    two times and b the later, the integral of their product is
    (gamma_a + 1) (gamma_b + 1) / (gamma_a + gamma_b + 1) (a / b)^gamma_b / b.
    """
    gammas = np.array([exponent(each) for each in sigmas])

    def products(t: np.ndarray, gamma: np.ndarray) -> np.ndarray:
        earlier, later = np.minimum(times[:, None], t), np.maximum(times[:, None], t)
        of_later = np.where(times[:, None] > t, gammas[:, None], gamma)
        both = (gammas[:, None] + 1) * (gamma + 1) / (gammas[:, None] + gamma + 1)
        return both * (earlier / later) ** of_later / later

    wanted = products(np.array([time]), np.array([exponent(sigma)]))
    found = np.linalg.lstsq(products(times, gammas), wanted, rcond=None)[0][:, 0]
    return found / found.sum()  # or weights that never changed would come out changed


def save(folder: Path, images: int, averages: Mapping[float, nn.Module]) -> Path:
    """Write a snapshot of averages, by width, after so many images; raises StorageError.

    What learns is written in half precision, the rest as it is.
    """
    path = folder / f"{images:012d}.safetensors"
    tensors = {
        f"{sigma}/{name}": (value.half() if name in learning(average) else value).contiguous()
        for sigma, average in averages.items()
        for name, value in weights(average).items()
    }
    with storing(folder):
        folder.mkdir(exist_ok=True)
    write_atomic(path, safetensors.torch.save(tensors))
    return path


def discard_newer(folder: Path, images: int) -> None:
    """Take away the snapshots after so many images: the training went back, and goes on from there."""
    with storing(folder):
        for path in _snapshots(folder):
            if int(path.stem) > images:
                path.unlink()


def reconstruct(folder: Path, sigma: float) -> dict[str, Tensor]:
    """Return the average of width `sigma` at the time of the last snapshot, as a state of the generator in fp32.

    Raises RecipeError for a width that cannot be had, RunError where there are no snapshots or one is damaged.
    """
    if not NARROWEST <= sigma <= WIDEST:
        raise RecipeError(f"ema = {sigma}: must lie between {NARROWEST} and {WIDEST}, parts of the training")
    paths = _snapshots(folder)
    if not paths:
        raise RunError(f"{folder.parent} kept no averages; train with --set training.ema_snapshots=16")
    times = np.array([float(path.stem) for path in paths for _ in SIGMAS])
    parts = coefficients(times, np.tile(SIGMAS, len(paths)), times[-1], sigma)
    total: dict[str, Tensor] = {}
    for path, shares in zip(paths, parts.reshape(-1, len(SIGMAS)), strict=True):
        try:
            tensors = safetensors.torch.load(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} cannot be read ({error}); take it away, the others may do") from error
        for key, value in tensors.items():
            width, name = key.split("/", 1)
            if value.dtype != torch.half:
                total[name] = value  # what does not learn has no average; the newest it is
                continue
            part = shares[SIGMAS.index(float(width))] * value.double()
            total[name] = total[name] + part if name in total else part
    return {name: value.float() if value.is_floating_point() else value for name, value in total.items()}


def _snapshots(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"))
