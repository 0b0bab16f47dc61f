"""The hardware: one CPU, one GPU, several of them, several hosts. The only file that imports accelerate.

Started by `torchrun` or `accelerate launch`, every process draws the same batch from the same random numbers and keeps
its own rows; gradients are averaged after the backward pass, first and second order alike, so n processes compute what
one process computes on the whole batch. What networks draw by themselves is drawn by each process for its own rows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, reduce
from torch import Tensor

from gandem.errors import RecipeError

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else its products are not the same twice; read once

APART = 0x9E3779B1
"""Between the seeds of two processes: 2^32 over the golden ratio, so that they stay apart in the 32 bits that count."""


class Engine:
    """Where a training runs.

    device: "auto", "cpu", "cuda", "cuda:1", "mps". precision: "fp32" or "bf16" (autocast; weights stay fp32).
    """

    def __init__(self, device: str = "auto", precision: str = "fp32") -> None:
        _check(device)
        PartialState._reset_state()
        self._state = PartialState(cpu=device == "cpu" or (device == "auto" and not _has_accelerator()))
        self.device = self._state.device if device == "auto" or self.processes > 1 else torch.device(device)
        self.precision = precision
        if self.device.type == "cuda":  # the same bits again, as a run that is resumed must have; a CPU has them anyhow
            torch.set_deterministic_debug_mode("warn")
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    @property
    def processes(self) -> int:
        """Number of processes that share each batch."""
        return int(self._state.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return bool(self._state.is_main_process)

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """Return the context in which networks compute in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def share(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return this process's rows of a batch, on its device."""
        mine = {name: self._rows(tensor) for name, tensor in batch.items()}
        if self.device.type == "cuda":  # from pinned memory, so that nobody waits for the copy
            mine = {name: tensor.pin_memory() for name, tensor in mine.items()}
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in mine.items()}

    def seed(self, seed: int) -> None:
        """Seed what networks draw by themselves, such as dropout, here and on the device: each process otherwise.

        As torch.manual_seed, which takes a hundred times longer where there is a kind of device that nobody uses.
        """
        seed = (seed + APART * self._state.process_index) % 2**63
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed_all(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)

    def share_first(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the main one's values, in place: networks of one's own may be drawn without a seed."""
        if self.processes > 1:
            for tensor in tensors:
                tensor.copy_(broadcast(tensor.contiguous()))

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Average the gradients over all processes, in one message."""
        if self.processes == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduction="mean")
        for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def average(self, numbers: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the averages of scalars over all processes, in one message."""
        if self.processes == 1:
            return numbers
        means = reduce(torch.stack([number.float() for number in numbers.values()]), reduction="mean")
        return dict(zip(numbers, means.unbind(), strict=True))

    def agree(self, value: float) -> float:
        """Return the main process's value in every process."""
        if self.processes == 1:
            return value
        mine = torch.tensor(value if self.is_main else 0.0, dtype=torch.float64, device=self.device)
        return float(reduce(mine, reduction="sum"))

    def agree_unless(self, stop: bool, value: float) -> float:
        """Return the main process's value, in [0, 1], or one below 0 if any process wants to stop."""
        if self.processes == 1:
            return -1.0 if stop else value
        mine = (value if self.is_main else 0.0) - 2.0 * stop
        return float(reduce(torch.tensor(mine, dtype=torch.float64, device=self.device), reduction="sum"))

    def wait(self) -> None:
        """Wait until every process is here."""
        self._state.wait_for_everyone()

    def _rows(self, tensor: Tensor) -> Tensor:
        if self.processes == 1:
            return tensor
        rows = len(tensor) // self.processes
        return tensor[self._state.process_index * rows : (self._state.process_index + 1) * rows]


def best_precision(device: str) -> str:
    """Return the precision that the hardware computes fastest in, by what it says of itself and not by the clock."""
    kind = torch.device("cpu" if device == "auto" and not torch.cuda.is_available() else device.replace("auto", "cuda"))
    if kind.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if kind.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return "bf16" if fast else "fp32"
    return "fp32"


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _check(device: str) -> None:
    """Raise RecipeError when the device is not there."""
    try:
        kind = torch.device("cpu" if device == "auto" else device)
    except RuntimeError as error:
        raise RecipeError(f"device {device!r} is not known: use auto, cpu, cuda, cuda:0 or mps") from error
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(kind.type, False):
        raise RecipeError(f"device {device!r} is not present on this machine: use --device cpu or auto")
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise RecipeError(f"device {device!r}: this machine has {torch.cuda.device_count()} GPUs, counted from 0")
    wanted, there = int(os.environ.get("LOCAL_WORLD_SIZE") or 1), torch.cuda.device_count()
    if "RANK" in os.environ and there and (device == "auto" or kind.type == "cuda") and wanted > there:
        raise RecipeError(f"{wanted} processes cannot share {there} GPU(s): use --devices {there}, or --device cpu")
