"""Can the judge be fooled? Cheats whose place is known, and copies that must be called out.

    python benchmarks/judging.py --trials 100
    python benchmarks/judging.py --sets fashion --run fashion=runs/benchmarks/fashion-full-seed0

For each set: the verdict on other real images, blurred, one class only (where there are classes), one image repeated
and noise, all made from images that nobody trained on, and on runs as `gandem evaluate` judges them; then, over many
draws, how often "copies its data" is said where no sample is a copy, and where a share of them is one, as it is,
mirrored, or shifted by two pixels. Rows that the shipped features learnt from (tools/train_features.py) are left out.
Where fewer than 100 samples can play each role the verdict is "cannot tell", and the copies only say what is missed.
"""

from __future__ import annotations

import argparse
import io
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import RESULTS, save_result
from PIL import Image
from sources import read_idx
from torch import Tensor

import gandem
from gandem.domains import DOMAINS
from gandem.judge.figure import Figure
from gandem.judge.judgement import FEWEST, Copying, judge
from gandem.judge.memorisation import Memorisation
from gandem.judge.verdict import RULES, Verdict
from gandem.training.budget import Budget

SETS = ("fashion", "cifar", "faces", "cells")
COPIED, DRAWN_FROM = 0.1, 8_000
"""Share of copies among the samples, and images of which every trial draws its samples and training images."""
(COPIES,) = (rule for rule in RULES if rule.verdict == "copies its data")


@dataclass(frozen=True)
class Real:
    """Images uint8 (n, H, W, C) in random order, and labels (n,) if any; no features learnt from them."""

    images: np.ndarray
    labels: np.ndarray | None = None


def load(name: str, root: Path) -> Real:
    """Read the rows of a set that the shipped features have not seen."""
    labels = None
    if name == "fashion":
        images, labels = read_idx(root / "images" / "fashion_mnist", "train")
        images, labels = images[30_000:], labels[30_000:]
    elif name == "cifar":
        with np.load(root / "images" / "cifar10" / "cifar10_subset.npz") as file:
            images, labels = file["train_images"], file["train_labels"].ravel()
        unseen = np.concatenate([np.flatnonzero(labels == label)[500:] for label in range(10)])
        images, labels = images[unseen], labels[unseen]
    elif name == "faces":
        with zipfile.ZipFile(root / "faces" / "lfwcrop_64.zip") as file:
            names = sorted(name for name in file.namelist() if name.endswith(".jpg"))[5000:]
            images = np.stack([np.asarray(Image.open(io.BytesIO(file.read(name))).convert("RGB")) for name in names])
    else:
        files = sorted((root / "images" / "medical" / "bccd_wbc_128").glob("*.jpg"))[185:]
        images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    order = np.random.default_rng(0).permutation(len(images))
    return Real(images[order], None if labels is None else labels[order])


def cheats(real: Real, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return sets of `count` images, the honest one first; made from the last images, which are in no other role."""
    last = real.images[-count:]
    floors = DOMAINS["images"].floors(last, seed)
    made = {"real": last, "blurred": floors["blurred"]}
    if real.labels is not None:
        unused = np.arange(3 * count, len(real.images))  # the roles before it take three times the count
        made["one class"] = real.images[unused[real.labels[unused] == 3][:count]]
    return made | {"one image repeated": floors["one image repeated"], "noise": floors["noise"]}


def judged_runs(folders: list[Path]) -> dict[str, Any]:
    """Return {how long a run was trained: its verdict}, as everybody gets it: by what was held out of its training."""
    found = {}
    for folder in folders:
        run = gandem.open_run(folder)
        facts = gandem.evaluate(run, count=2000)
        name = f"trained for {Budget(**run.report['budget'])}"
        found[name] = facts["verdict"] | {"n": facts["counts"]["generated"]}
        if "judgement" in facts:
            found[name] |= {"frechet_share": facts["judgement"]["rows"]["generated"]["frechet_share"]}
        print(f"  {name:20} {facts['verdict']['verdict']}", flush=True)
    return found


def verdicts(real: Real, features: Any, seed: int = 0) -> dict[str, Any]:
    """Return {cheat: verdict and the numbers behind it}; a quarter of the images plays each role."""
    quarter = min(len(real.images) // 4, 2000)
    if quarter < FEWEST:
        return {"all": Verdict.cannot_tell(quarter, quarter).to_dict()}
    held_out, other = (features(real.images[at : at + quarter]) for at in (0, quarter))
    training = features(real.images[quarter : 3 * quarter])
    made = cheats(real, quarter, seed)
    found = {}
    for name, images in made.items():
        began = time.monotonic()
        rows = features(images)
        copying = Copying.of(rows, training, held_out)
        judgement = judge(rows, held_out, real=other, floors={}, copying=copying)
        verdict = Verdict.of(judgement)
        found[name] = verdict.to_dict() | {
            "frechet_share": judgement.generated["frechet_share"].to_dict(),
            "n": len(images),
            "seconds": round(time.monotonic() - began, 1),
        }
        print(f"  {name:20} {verdict.lines()[0]}", flush=True)
    return found


def copies(real: Real, features: Any, trials: int) -> dict[str, Any]:
    """Return how often copying is said without copies, and with a tenth of each kind of copy."""
    images = real.images[:DRAWN_FROM]
    n = min(len(images) // 4, 1000)
    moved = np.pad(images, ((0, 0), (2, 0), (2, 0), (0, 0)), mode="edge")[:, :-2, :-2]
    copied = {"plain": images, "mirrored": np.ascontiguousarray(images[:, :, ::-1]), "shifted": moved}
    kinds = {kind: in_variants(copies, features) for kind, copies in copied.items()}
    plain = kinds["plain"]
    rng = np.random.default_rng(0)
    said = dict.fromkeys(("none", *kinds), 0)
    for _ in range(trials):
        order = torch.from_numpy(rng.permutation(len(images)))
        fresh, held_out, training = order[:n], order[n : 2 * n], order[2 * n : 2 * n + 5000]
        stolen = training[: max(round(COPIED * n), 1)]
        honest, theirs = plain[:, fresh], plain[:, held_out]
        for kind in said:
            rows = honest
            if kind != "none":
                rows = torch.cat([honest[:, len(stolen) :], kinds[kind][:, stolen]], 1)
            said[kind] += called_out(rows, plain[0, training], theirs)
    shares = {kind: Figure.of_share(count, trials).to_dict() for kind, count in said.items()}
    print("  called out: " + ", ".join(f"{kind} {count}/{trials}" for kind, count in said.items()), flush=True)
    return {"n": n, "copied": COPIED, "training": min(5000, len(images) - 2 * n), "called_out": shares}


def in_variants(images: np.ndarray, features: Any) -> Tensor:
    """Return the features of every variant, (v, n, d)."""
    return torch.stack([features(variant) for variant in DOMAINS["images"].variants(images)])


def called_out(generated: Tensor, training: Tensor, held_out: Tensor) -> bool:
    """Apply the rule of the verdict."""
    found = Memorisation.of(generated.flatten(0, 1), training, held_out.flatten(0, 1), len(generated))
    shares = found.copied_share()
    return COPIES.holds({"copied share": shares.generated, "copied share of held-out data": shares.held_out})


def main() -> None:
    """Judge the cheats of every set, then the copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--run", nargs="*", default=[], help="SET=FOLDER: a run to judge among the cheats of a set")
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    features = DOMAINS["images"].features(None)
    figures: dict[str, Any] = {"features": {"name": features.name, "fingerprint": features.fingerprint}}
    for name in options.sets:
        print(name, flush=True)
        real = load(name, options.data)
        runs = [Path(run.partition("=")[2]) for run in options.run if run.startswith(f"{name}=")]
        figures[name] = {"images": len(real.images), "verdicts": judged_runs(runs) | verdicts(real, features)}
        figures[name]["copies"] = copies(real, features, options.trials)
    save_result("judging", figures, seed=0, folder=options.results)


if __name__ == "__main__":
    main()
