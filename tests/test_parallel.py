"""Two processes on half a batch each compute what one computes on the whole: R1 and R2, LeCam, augmentation."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

WORKER = Path(__file__).with_name("parallel_worker.py")
NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What one process alone wrote, and each of two."""
    folder = tmp_path_factory.mktemp("parallel")
    clean = {name: value for name, value in os.environ.items() if name not in NAMES} | {"OMP_NUM_THREADS": "1"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = clean | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environments = {
        "alone": clean,
        "first": shared | {"RANK": "0", "LOCAL_RANK": "0"},
        "second": shared | {"RANK": "1", "LOCAL_RANK": "1"},
    }
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, folder / name], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for name, environment in environments.items()
    ]
    try:
        messages = [process.communicate(timeout=100)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert {path.name for path in folder.iterdir()} == environments.keys(), b"\n".join(messages).decode()
    return {name: load_file(folder / name) for name in environments}


def vector(result: dict[str, Tensor], prefix: str) -> Tensor:
    return torch.cat([result[name].flatten().double() for name in sorted(result) if name.startswith(prefix)])


def test_the_work_is_shared(results: dict[str, dict[str, Tensor]]) -> None:
    assert [int(result["processes"]) for result in results.values()] == [1, 2, 2]
    assert [int(result["rows/generator"]) for result in results.values()] == [16, 8, 8]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_gradients(results: dict[str, dict[str, Tensor]], player: str) -> None:
    alone = vector(results["alone"], f"gradient/{player}/")
    assert alone.norm() > 0.01
    for process in ("first", "second"):
        assert (vector(results[process], f"gradient/{player}/") - alone).norm() < 1e-5 * alone.norm()


@pytest.mark.parametrize("file", ["generator", "discriminator", "generator_ema"])
def test_weights_after_three_steps(results: dict[str, dict[str, Tensor]], file: str) -> None:
    alone = vector(results["alone"], f"state/{file}/")
    for process in ("first", "second"):
        # Adam divides by the size of the gradient, so weights whose gradient is rounding noise move by it.
        assert (vector(results[process], f"state/{file}/") - alone).norm() < 1e-4 * alone.norm()


def test_what_networks_draw_is_each_process_its_own(results: dict[str, dict[str, Tensor]]) -> None:
    """Dropout and noise: the same whenever a batch is played, but not for the rows of the other process."""
    alone, one, other = results.values()
    for turn in range(2):
        assert torch.equal(one[f"drawn/{turn}"], alone[f"drawn/{turn}"])
        assert not torch.isin(one[f"drawn/{turn}"], other[f"drawn/{turn}"]).any()
        for result in results.values():
            assert torch.equal(result[f"drawn/{turn}"], result[f"drawn again/{turn}"])


def test_the_usual_scores_are_those_of_the_whole_batch(results: dict[str, dict[str, Tensor]]) -> None:
    """LeCam's averages, which hold the discriminator in the next step."""
    alone = results["alone"]["state/discriminator/lecam"]
    assert alone.all()
    for process in ("first", "second"):
        torch.testing.assert_close(results[process]["state/discriminator/lecam"], alone, rtol=1e-3, atol=1e-6)


def test_both_processes_hold_the_same_bits(results: dict[str, dict[str, Tensor]]) -> None:
    one, other = results["first"], results["second"]
    assert [name for name in one if name.startswith("state/") and not torch.equal(one[name], other[name])] == []


def test_all_processes_stop_with_any(results: dict[str, dict[str, Tensor]]) -> None:
    """The second one alone is told to stop; else what the first one says holds in both."""
    assert results["alone"]["agreed"].tolist() == [0.25, 0.25]
    for process in ("first", "second"):
        going_on, stopped = results[process]["agreed"].tolist()
        assert going_on == 0.25 and stopped < 0
