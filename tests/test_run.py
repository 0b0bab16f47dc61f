"""From a file of pictures to a run folder and back: one short training, and everything that a run promises."""

import hashlib
import json
import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gandem
from gandem.errors import Interrupted, RecipeError, RunError
from gandem.run import Run, locked, must_be_new, read_json, write_json
from gandem.training import loop

SETTINGS = {
    "network.width": 32,
    "training.batch": 16,
    "training.precision": "fp32",
    "optimizer.lr": 5e-4,
    "optimizer.warmup": 0,
    "game.augment": 1.0,
}
IMAGES = 63 * 16
"""A budget of 1,000 images in whole batches."""

KEYS = {
    "progress": "images step progress seconds images_per_second eta_seconds losses lr gamma ema_halflife",
    "samples": "path images",
    "checkpoint": "path images seconds",
    "finished": "images seconds path",
}
LOSSES = (
    "discriminator/adversarial",
    "discriminator/r1",
    "discriminator/r2",
    "discriminator/win_rate",
    "generator/adversarial",
)


def train(npz: Path, out: Path, watch: Any = None) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "REPORT_SECONDS", 0.1)
        patch.setattr(loop, "PREVIEWS", 4)
        return gandem.train(npz, out, settings=SETTINGS, budget="1k", seed=5, device="cpu", watch=watch)


@pytest.fixture(scope="module")
def watched() -> list[dict]:
    """What a watcher of the training was told."""
    return []


@pytest.fixture(scope="module")
def finished(npz: Path, tmp_path_factory: pytest.TempPathFactory, watched: list[dict]) -> Run:
    """A run of 1,000 images."""
    return train(npz, tmp_path_factory.mktemp("runs") / "first", watched.append)


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(finished.path, tmp_path / "elsewhere"))


def hashes(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def weights(path: Path) -> dict[str, str]:
    """The hashes of everything that was trained."""
    newest = max((path / "checkpoints").iterdir())
    return {name: digest for name, digest in hashes(newest).items() if name.endswith(".safetensors")}


def test_the_folder_holds_what_it_promises(finished: Run) -> None:
    names = {path.name for path in finished.path.iterdir()} - {".lock"}
    promised = (
        "recipe.yaml data.json codec checkpoints events.jsonl tensorboard samples report.json report.html README.md"
    )
    assert names == set(promised.split())
    assert [path.name for path in sorted((finished.path / "checkpoints").iterdir())] == [f"{0:012d}", f"{IMAGES:012d}"]
    samples = {path.name for path in (finished.path / "samples").iterdir()}
    assert {"latest.png", "training.gif"} < samples and any(name[:-4].isdigit() for name in samples)
    assert list((finished.path / "tensorboard").iterdir())
    assert "cannot tell" in (finished.path / "README.md").read_text()


def test_no_pickles(finished: Run) -> None:
    suffixes = {path.suffix for path in finished.path.rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz"}
    assert ".safetensors" in suffixes


def test_reports(finished: Run) -> None:
    report = json.loads((finished.path / "report.json").read_text())
    assert (report["status"], report["images"]) == ("finished", IMAGES)
    assert report["dataset_size"] + report["held_out_size"] == 256
    assert report["budget"] == {"images": 1000, "seconds": None} and report["seconds"] > 0
    assert report["plan"]["width"] == 32 and report["plan"]["images_per_second"] is None
    assert "auto" not in {
        finished.recipe.network.width,
        finished.recipe.training.precision,
        finished.recipe.game.augment,
    }
    assert finished.recipe.training.seed == 5 and finished.spec.shape == (1, 28, 28) and finished.spec.num_labels == 10
    summary = finished.summary()
    assert (summary["status"], summary["images"], summary["shape"]) == ("finished", IMAGES, [1, 28, 28])


def test_events(finished: Run, watched: list[dict]) -> None:
    events = [json.loads(line) for line in (finished.path / "events.jsonl").read_text().splitlines()]
    assert events == [event for event in json.loads(json.dumps(watched)) if "time" in event]
    assert {"data", "plan"} <= {event["event"] for event in watched}
    assert [event["event"] for event in events][-2:] == ["finished", "verdict"]
    for name, keys in KEYS.items():
        of_this = [event for event in events if event["event"] == name]
        assert of_this, f"no {name} event"
        assert all({"event", "time", *keys.split()} <= event.keys() for event in of_this)
    progress = [event for event in events if event["event"] == "progress"]
    assert all(math.isfinite(event["losses"][loss]) for event in progress for loss in LOSSES)
    assert all(0 <= event["losses"]["discriminator/win_rate"] <= 1 for event in progress)
    images = [event["images"] for event in progress]
    assert images == sorted(set(images))


def test_a_copy_samples_the_same_bytes(finished: Run, copied: Path) -> None:
    """The checkpoint is all it takes: neither the log nor the data need to come along."""
    for name in ("events.jsonl", "samples", "tensorboard"):
        shutil.rmtree(copied / name) if (copied / name).is_dir() else (copied / name).unlink()
    images, labels = gandem.open_run(copied).sample_array(20, seed=3)
    expected, same_labels = finished.sample_array(20, seed=3)
    assert images.dtype == np.uint8 and images.shape == (20, 28, 28, 1)
    assert images.tobytes() == expected.tobytes()
    assert labels.tolist() == same_labels.tolist() == [*range(10), *range(10)]
    assert images.tobytes() != finished.sample_array(20, seed=4)[0].tobytes()
    assert [(picture.mode, picture.size) for picture in finished.sample(2)] == [("L", (28, 28))] * 2


def test_where_takes_a_name_or_a_number(finished: Run) -> None:
    name = finished.spec.labels[7]
    by_name, labels = finished.sample_array(4, {"label": name})
    by_number, _ = finished.sample_array(4, {"label": 7})
    assert by_name.tobytes() == by_number.tobytes() and labels.tolist() == [7] * 4
    assert by_name.tobytes() != finished.sample_array(4, {"label": 2})[0].tobytes()


@pytest.mark.parametrize(
    "where", [{"label": "Cheese"}, {"label": 10}, {"label": -1}, {"label": "²"}, {"colour": "red"}]
)
def test_where_names_what_is_there(finished: Run, where: dict) -> None:
    with pytest.raises(RecipeError, match="--where"):
        finished.sample_array(1, where)


def test_truncation_zero_leaves_one_picture_a_class(finished: Run) -> None:
    images, labels = finished.sample_array(30, truncation=0.0)
    for label in range(10):
        same = images[labels == label]
        assert (same == same[0]).all()
    assert len({image.tobytes() for image in images}) > 1
    with pytest.raises(RecipeError, match="truncation"):
        finished.sample_array(1, truncation=-1)
    with pytest.raises(RecipeError, match="count"):
        finished.sample_array(0)


def test_the_generator_is_ready_to_use(finished: Run) -> None:
    generator = finished.generator()
    assert not any(module.training for module in generator.modules())
    assert {(p.dtype, p.requires_grad) for p in generator.parameters()} == {(torch.float32, False)}
    images = generator(torch.randn(3, finished.recipe.network.latent), torch.tensor([0, 1, 2]))
    assert images.shape == (3, 1, 28, 28) and images.isfinite().all()


def test_samples_look_like_the_data_and_not_like_noise(finished: Run, fashion) -> None:
    """Sixty steps teach little, but where pictures are dark and how bright they are must have been learnt."""
    images = finished.sample_array(100)[0][:, :, :, 0].astype(float)
    real = fashion.images[:256, :, :, 0].astype(float)
    assert np.corrcoef(images.mean(0).ravel(), real.mean(0).ravel())[0, 1] > 0.5


def test_training_into_a_run_is_refused(finished: Run, npz: Path, tmp_path: Path) -> None:
    before = hashes(finished.path)
    with pytest.raises(RunError, match="gandem resume"):
        train(npz, finished.path)
    assert hashes(finished.path) == before
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="in the way"):
        train(npz, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_resuming_a_finished_run_changes_nothing(copied: Path) -> None:
    before, events = hashes(copied), []
    run = gandem.resume(copied, watch=events.append)
    assert [(event["event"], event["images"]) for event in events] == [("finished_already", IMAGES)]
    assert hashes(copied) == before and run.path == copied


def test_more_budget_continues(copied: Path) -> None:
    log, before = (copied / "events.jsonl").read_bytes(), weights(copied)
    events: list[dict] = []
    run = gandem.resume(copied, budget="+500", device="cpu", watch=events.append)
    assert (run.report["status"], run.report["images"]) == ("finished", 94 * 16)  # 1,500 in whole batches
    assert run.report["budget"]["images"] == 1500
    names = [event["event"] for event in events if event["event"] != "reading"]
    assert names[0] == "resumed" and names[-2:] == ["finished", "verdict"]
    assert all(after != before[name] for name, after in weights(copied).items())
    kept = (copied / "events.jsonl").read_text().splitlines()
    assert kept[0] == log.decode().splitlines()[0]
    assert [json.loads(line)["event"] for line in kept].count("finished") == 1  # what came after the checkpoint is cut
    with pytest.raises(RecipeError, match="measured in images"):
        gandem.resume(copied, budget="+1m")


def test_an_interrupted_run_resumes_to_the_same_bits(finished: Run, npz: Path, tmp_path: Path) -> None:
    """Stopped by a signal at the first picture; TensorBoard and the log say each thing once."""

    def stop(event: dict) -> None:
        if event["event"] == "samples" and event["images"] == 16:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=f"gandem resume {tmp_path / 'run'}") as stopped:
        train(npz, tmp_path / "run", stop)
    assert (stopped.value.signal, stopped.value.images, stopped.value.path) == ("SIGTERM", 16, tmp_path / "run")
    assert gandem.open_run(tmp_path / "run").report["status"] == "interrupted"
    run = gandem.resume(tmp_path / "run", device="cpu")
    assert run.report["status"] == "finished" and weights(run.path) == weights(finished.path)


def test_a_log_that_did_not_come_along_is_begun_anew(copied: Path) -> None:
    (copied / "events.jsonl").unlink()
    gandem.resume(copied, budget="+16", device="cpu")
    lines = (copied / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["event"] == "resumed"


def test_changed_data_are_refused(copied: Path, npz: Path, tmp_path: Path) -> None:
    with np.load(npz) as arrays:
        images, labels = arrays["images"].copy(), arrays["labels"]
    images[100, 14, 14] ^= 1
    np.savez(tmp_path / "changed.npz", images=images, labels=labels)
    report = json.loads((copied / "data.json").read_text())
    for source, message in ((tmp_path / "changed.npz", "has changed"), (tmp_path / "gone.npz", "without its data")):
        (copied / "data.json").write_text(json.dumps(report | {"path": str(source)}))
        before = hashes(copied)
        with pytest.raises(RunError, match=message):
            gandem.resume(copied, budget="+500")
        assert hashes(copied) == before


def test_a_locked_run_is_refused(copied: Path) -> None:
    before = hashes(copied / "checkpoints")
    with locked(copied), pytest.raises(RunError, match="another process"):
        gandem.resume(copied, budget="+500")
    assert hashes(copied / "checkpoints") == before
    with locked(copied):  # and free again
        pass


@pytest.mark.parametrize("file", ["recipe.yaml", "data.json", "codec/codec.json"])
def test_a_damaged_folder_says_so(copied: Path, file: str) -> None:
    (copied / file).write_text("{")
    with pytest.raises((RunError, RecipeError), match=Path(file).name):
        gandem.open_run(copied)


def test_networks_of_another_version_are_said_in_one_line(copied: Path) -> None:
    recipe = (copied / "recipe.yaml").read_text()
    (copied / "recipe.yaml").write_text(recipe.replace("width: 32", "width: 40"))
    with pytest.raises(RunError, match="trained by another version of gandem"):
        gandem.open_run(copied).sample(1)


def test_what_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match="run folder"):
            gandem.open_run(path)


def test_a_plan_leaves_nothing_behind(npz: Path, tmp_path: Path) -> None:
    plan = gandem.plan_training(npz, tmp_path / "run", settings=SETTINGS, budget="1k", device="cpu")
    assert (plan["plan"]["images"], plan["plan"]["width"], plan["recipe"]["network"]["width"]) == (1000, 32, 32)
    assert plan["data"]["images"] == 256 and list(tmp_path.iterdir()) == []


def test_a_damaged_newest_checkpoint_is_named_and_passed_over(copied: Path) -> None:
    good = copied / "checkpoints" / f"{IMAGES:012d}"
    newer = shutil.copytree(good, good.with_name("000000009999"))
    (newer / "generator_ema.safetensors").write_bytes(b"half")
    with pytest.warns(UserWarning, match="damaged"):
        gandem.open_run(copied).sample(1)
    events: list[dict] = []
    gandem.resume(copied, budget="+16", device="cpu", watch=events.append)
    resumed = next(event for event in events if event["event"] == "resumed")
    assert resumed["images"] == IMAGES and "damaged" in resumed["damaged"][0]


def test_moved_data_can_be_named(copied: Path, npz: Path, tmp_path: Path) -> None:
    moved = shutil.copy(npz, tmp_path / "moved.npz")
    report = json.loads((copied / "data.json").read_text())
    (copied / "data.json").write_text(json.dumps(report | {"path": str(tmp_path / "gone.npz")}))
    with pytest.raises(RunError, match="--source"):
        gandem.resume(copied, budget="+16")
    assert gandem.resume(copied, budget="+16", source=moved, device="cpu").report["images"] == IMAGES + 16


def test_fewer_images_than_a_batch_make_a_smaller_batch(npz: Path, tmp_path: Path) -> None:
    with np.load(npz) as arrays:
        np.savez(tmp_path / "few.npz", images=arrays["images"][:7])
    settings = {"network.width": 32}
    run = gandem.train(tmp_path / "few.npz", tmp_path / "run", settings=settings, budget="12", device="cpu")
    assert run.recipe.training.batch == 4 and run.report["images"] == 12


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(finished: Run, seed: int) -> None:
    with pytest.raises(RecipeError, match="seed"):
        finished.sample(1, seed=seed)


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    """Of data they are kept, in the escapes of JSON; a run of such a name is refused."""
    write_json(tmp_path / "x.json", {"path": "caf\udce9"})
    assert read_json(tmp_path / "x.json") == {"path": "caf\udce9"}
    with pytest.raises(RunError, match="no name in UTF-8"):
        must_be_new(tmp_path / "caf\udce9")


def test_a_run_does_not_take_the_place_of_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="in the way"):
        must_be_new(Path("."))
