"""A checkpoint is there whole or not at all, and a damaged one never stands in the way of an older one."""

import errno
import shutil
from pathlib import Path

import pytest
import torch

from gandem.errors import RunError, StorageError
from gandem.training import checkpoint
from gandem.training.checkpoint import load, newest, paths, save, write_atomic


def state(images: int) -> tuple[dict, dict]:
    rng = torch.Generator().manual_seed(images)
    weight = torch.randn(4, 3, 5, 5, generator=rng)
    tensors = {
        "generator": {"a.weight": weight.to(memory_format=torch.channels_last), "a.bias": weight[0, 0].bfloat16()},
        "optimizer": {"0.step": torch.tensor(7.0), "0.odd": torch.tensor([float("inf"), -0.0, 1e-45])},
        "empty": {},
    }
    return tensors, {"images": images, "step": images // 16, "seconds": images * 0.1}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else bits(tensor[None])


def assert_is(found: checkpoint.Checkpoint, images: int) -> None:
    tensors, numbers = state(images)
    assert {key: found.numbers[key] for key in numbers} == numbers
    assert found.tensors.keys() == tensors.keys()
    for name, group in tensors.items():
        assert {key: bits(value) for key, value in found.tensors[name].items()} == {
            key: bits(value) for key, value in group.items()
        }
        assert all(found.tensors[name][key].dtype == value.dtype for key, value in group.items())


def test_round_trip_to_the_bit(tmp_path: Path) -> None:
    assert_is(load(save(tmp_path, *state(160))), 160)


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path, *state(160))
    (path / "optimizer.safetensors").unlink()  # and what is not asked for may be missing
    assert load(path, only={"generator"}).tensors.keys() == {"generator"}


def test_the_newest_two_stay(tmp_path: Path) -> None:
    for images in (90, 1000, 200, 5_000_000):
        save(tmp_path, *state(images))
    assert [path.name for path in paths(tmp_path)] == ["000000001000", "000005000000"]
    assert_is(newest(tmp_path), 5_000_000)


def test_saved_twice_at_the_same_place(tmp_path: Path) -> None:
    save(tmp_path, {"other": {}}, {"images": 160})
    save(tmp_path, *state(160))
    assert_is(newest(tmp_path), 160)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "bit flipped": lambda path: flip(path / "generator.safetensors"),
    "cut short": lambda path: cut(path / "generator.safetensors"),
    "empty": lambda path: (path / "generator.safetensors").write_bytes(b""),
    "missing": lambda path: (path / "generator.safetensors").unlink(),
    "no state": lambda path: (path / "state.json").unlink(),
    "state cut short": lambda path: cut(path / "state.json") or cut(path / "state.json"),
    "state no object": lambda path: (path / "state.json").write_text("[]"),
    "state without hashes": lambda path: (path / "state.json").write_text('{"images": 200}'),
    "state no text": lambda path: (path / "state.json").write_bytes(b"\xff\xfe\x00"),
    "nothing left": lambda path: shutil.rmtree(path) or path.mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_falls_back(tmp_path: Path, damage: str) -> None:
    save(tmp_path, *state(100))
    DAMAGES[damage](save(tmp_path, *state(200)))
    assert_is(newest(tmp_path), 100)
    shutil.rmtree(tmp_path / "000000000100")
    with pytest.raises(RunError, match="000000000200"):
        newest(tmp_path)


def test_none_yet(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no readable checkpoint"):
        newest(tmp_path / "nowhere")


def test_a_leftover_is_ignored_and_cleaned(tmp_path: Path) -> None:
    save(tmp_path, *state(100))
    leftover = tmp_path / ".000000000200.4242"
    leftover.mkdir()
    (leftover / "generator.safetensors").write_bytes(b"half")
    assert_is(newest(tmp_path), 100)
    save(tmp_path, *state(300))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000100", "000000000300"]


@pytest.mark.parametrize("after", range(4))
def test_a_full_disk_leaves_the_previous_one(tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, *state(100))
    written, write = [], checkpoint.write_synced

    def full(path: Path, data: bytes) -> None:
        if len(written) == after:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_synced", full)
        with pytest.raises(StorageError, match="No space left on device; free some space"):
            save(tmp_path, *state(200))
    assert_is(newest(tmp_path), 100)
    save(tmp_path, *state(300))
    assert_is(newest(tmp_path), 300)
    assert not list(tmp_path.glob(".*"))


def test_write_atomic_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a.json", b"old")

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_synced", full)
    with pytest.raises(StorageError):
        write_atomic(tmp_path / "a.json", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"old")]


def test_safetensors_and_json_only(tmp_path: Path) -> None:
    files = {path.suffix: path.read_bytes()[:1] for path in save(tmp_path, *state(100)).iterdir()}
    assert files.keys() == {".safetensors", ".json"} and b"\x80" not in files.values()  # \x80 opens a pickle
