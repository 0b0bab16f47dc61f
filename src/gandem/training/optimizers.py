"""The players' optimisers: Adam, or another of torch.optim by its name in lower case, and their state as tensors."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from gandem.errors import RecipeError, nearest
from gandem.recipe import OptimizerOptions


class OptimisticAdam(torch.optim.Adam):
    """Adam that goes 2 d(t) - d(t - 1) where Adam goes d(t) (Daskalakis et al. 2018, "Training GANs with optimism").

    It takes the last step back and makes the new one twice, which damps the circling of two players.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Make one step; gradients must be there."""
        weights = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        before = [weight.clone() for weight in weights]
        super().step()
        for weight, old in zip(weights, before, strict=True):
            went = weight - old
            weight.add_(went - self.state[weight].get("went", 0))
            self.state[weight]["went"] = went


# Those left out need a closure, sparse gradients or matrices alone.
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
    if name not in ("Optimizer", "LBFGS", "SparseAdam", "Muon")
} | {"optimistic_adam": OptimisticAdam}

FUSED = ("adam", "adamw")
"""One kernel for all weights, which also leaves a step out on the device when its numbers are not finite."""
OWN_KEYS = {"lr": "lr", "betas": "beta1", "weight_decay": "weight_decay"}
"""Options of torch.optim that have a key of their own in a recipe."""


def make_optimizer(options: OptimizerOptions, player: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser that a recipe names; raises RecipeError for a name or an option that it does not know."""
    if options.kind not in OPTIMIZERS:
        raise RecipeError(f"optimizer.kind = {options.kind!r} is not known.{nearest(options.kind, OPTIMIZERS)}")
    kind = OPTIMIZERS[options.kind]
    # Optimistic and fused, a step that is left out would still take the last one back.
    known = set(inspect.signature(kind).parameters) - ({"fused"} if kind is OptimisticAdam else set())
    for key in options.options:
        if key in OWN_KEYS:
            raise RecipeError(f"optimizer.options sets '{key}', which the recipe does: use optimizer.{OWN_KEYS[key]}")
        if key not in known:
            raise RecipeError(f"optimizer.options has '{key}', unknown to {options.kind}.{nearest(key, known)}")
    choices: dict[str, Any] = {"lr": options.rates()[0], **options.options}
    if "betas" in known:
        choices["betas"] = (options.beta1, options.second_betas()[0])
    if options.weight_decay or "weight_decay" in known:  # 0 is said as well: the default of AdamW is another
        choices["weight_decay"] = options.weight_decay
    if options.kind in FUSED:
        choices.setdefault("fused", True)
    # Frozen ones have no gradient, so nothing is done to them; they keep their place, since they may be set free later.
    weights = [each for each in player.parameters() if each.requires_grad or each.is_floating_point()]
    try:
        return kind(weights, **choices)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"optimizer.kind = {options.kind!r} with {options.options}: {error}") from error


def step(optimizer: torch.optim.Optimizer, finite: Tensor) -> None:
    """Make one step, or leave it out if `finite` is not true; fused ones decide it on the device, without waiting."""
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif finite:
        optimizer.step()


def tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the whole state of an optimiser, "0.exp_avg" for that of the first parameter; all of it is tensors."""
    states = optimizer.state_dict()["state"]
    return {f"{index}.{key}": value for index, values in states.items() for key, value in values.items()}


def load_tensors(optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    """Continue from what `tensors` returned."""
    weights = optimizer.param_groups[0]["params"]
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in saved.items():
        index, key = name.split(".")
        weight = weights[int(index)]
        # Kernels walk weights and state side by side: same memory layout, or wrong numbers.
        alike = value.shape == weight.shape
        states.setdefault(int(index), {})[key] = torch.empty_like(weight).copy_(value) if alike else value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


@torch.no_grad()
def next_update(optimizer: torch.optim.Optimizer) -> float | None:
    """Return the size of Adam's next step as a part of the size of the weights, from its moments; None for others."""
    group = optimizer.param_groups[0]
    weights = [weight for weight in group["params"] if "exp_avg_sq" in optimizer.state.get(weight, {})]
    if not weights:
        return None
    states = [optimizer.state[weight] for weight in weights]
    steps = [state["exp_avg"] / (state["exp_avg_sq"].sqrt() + group["eps"]) for state in states]
    size = max(float(torch.nn.utils.get_total_norm(weights)), 1e-12)
    return group["lr"] * float(torch.nn.utils.get_total_norm(steps)) / size
