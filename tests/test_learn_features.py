"""Features that are learnt from a user's own data judge everything but what they learnt from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import gandem
from gandem.cli import main
from gandem.domains.images import IMAGES
from gandem.domains.images.features import WIDTH, load_features
from gandem.domains.images.learning import same_image_loss
from gandem.recipe import DataOptions
from helpers import shipped


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "some.npz"
    data = shipped()
    np.savez(path, images=data.images[:1200], labels=data.labels[:1200])
    return path


@pytest.fixture(scope="module")
def learnt(source: Path) -> Path:
    out = source.with_name("new") / "own.safetensors"
    told: list[tuple[str, int, int]] = []
    facts = gandem.learn_features(source, out, steps=12, progress=lambda *event: told.append(event))
    assert facts["bytes"] == out.stat().st_size and 400 < facts["images"] < 560
    assert ("learning features", 10, 12) in told and told[-1] == ("learning features", 12, 12)
    return out


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_is_judged_was_not_learnt_from(source: Path, learnt: Path, share: float) -> None:
    features = load_features(learnt)
    training, held_out = IMAGES.read(source, DataOptions()).split(share)
    judged, known = (features.learnt_from(part.samples(torch.arange(part.count))[0]) for part in (held_out, training))
    assert not judged.any() and 0.3 < known.sum() / 1200 < 0.5 and not known.all()
    found = features(held_out.samples(torch.arange(4))[0])
    assert found.shape == (4, WIDTH) and found.isfinite().all()


def test_the_same_seed_learns_the_same(source: Path, learnt: Path, tmp_path: Path) -> None:
    gandem.learn_features(source, tmp_path / "a.safetensors", steps=2, seed=3)
    gandem.learn_features(source, tmp_path / "b.safetensors", steps=2, seed=3)
    gandem.learn_features(source, tmp_path / "c.safetensors", steps=2, seed=4)
    a, b, c = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_it_says_how_many_it_learnt_from(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gandem.domains.images.learning.MOST", 300)
    assert gandem.learn_features(source, tmp_path / "few.safetensors", steps=1)["images"] == 300


def test_learning_recognises_the_same_image() -> None:
    rows = torch.eye(8).double()
    assert same_image_loss(rows, rows) < 0.1 < same_image_loss(rows, rows.roll(1, 0))


def test_the_judge_looks_with_them(source: Path, learnt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(source), "--real", str(source), "--features", str(learnt), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["features"]["name"] == "own.safetensors"
    assert facts["counts"]["learnt_by_features"] > 100 and 50 < facts["counts"]["real"] < 200


def test_a_file_without_hashes_still_judges(learnt: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = load_file(learnt)
    del weights["learnt"]
    save_file(weights, tmp_path / "plain.safetensors")
    assert len(load_features(tmp_path / "plain.safetensors").learnt) == 0


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("own.pt", [], ".safetensors"),
        ("own.safetensors", ["--steps", "0"], "1 or more"),
        ("few.safetensors", [], "too few"),
    ],
)
def test_bad_wishes_get_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, options: list[str], words: str
) -> None:
    if out.startswith("few"):
        with np.load(source) as data:
            np.savez(tmp_path / "few.npz", images=data["images"][:300])
        source = tmp_path / "few.npz"
    assert main(["features", str(source), "--out", str(tmp_path / out), *options]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error and not (tmp_path / out).exists()
