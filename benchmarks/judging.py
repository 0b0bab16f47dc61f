"""Can the judge be fooled? Cheats whose place is known, and copies that must be called out.

    python benchmarks/judging.py --trials 100
    python benchmarks/judging.py --sets fashion --run fashion=runs/good --run fashion=runs/short

For each set: the verdict on other real images, on runs as `gandem evaluate` judges them, on blurred images, one class
only (where there are classes), one image repeated and noise, in this order, in which the words should get worse; then,
over many draws, how often "copies its data" is said where no sample is a copy, and where a tenth of them are, as they
are, mirrored, or shifted by two pixels. As in the evaluation of a run three kinds of images play, none of them twice:
those that are judged, those that are held out, and training images, which are the judge's ceiling too.

Images that the shipped features learnt from (tools/train_features.py) are left out. Of the 371 blood cells too few
would be left (at least 100 must play each part), so these are judged with features of their own: the same recipe, steps
and sets but for the cells, trained once (13 minutes of one core) and kept in --work. Each set has a result file; with
--trials 0 the copies stay as they are in it.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import RESULTS, ROOT, load_results, save_result
from PIL import Image
from sources import read_idx
from table_parts import longest_first
from torch import Tensor

import gandem
from gandem.domains import DOMAINS
from gandem.domains.images.floors import variants
from gandem.judge.figure import Figure
from gandem.judge.judgement import FEWEST, Copying, judge
from gandem.judge.memorisation import Memorisation
from gandem.judge.verdict import ORDER, RULES, Verdict
from gandem.training.budget import Budget
from gandem.training.checkpoint import write_atomic

SETS = ("fashion", "cifar", "faces", "cells")
CELLS = "medical/bccd_wbc_128"
COPIED, DRAWN_FROM = 0.1, 8_000
"""Share of copies among the samples, and images of which every trial draws its samples and training images."""
(COPIES,) = (rule for rule in RULES if rule.verdict == "copies its data")


@dataclass(frozen=True)
class Real:
    """Images uint8 (n, H, W, C) in random order, and labels (n,) if any; no features learnt from them."""

    images: np.ndarray
    labels: np.ndarray | None = None


def load(name: str, root: Path) -> Real:
    """Read the images of a set that its features have not seen."""
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
        files = sorted((root / "images" / CELLS).glob("*.jpg"))
        images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    order = np.random.default_rng(0).permutation(len(images))
    return Real(images[order], None if labels is None else labels[order])


def features_of(name: str, root: Path, work: Path) -> Path | None:
    """Return the weights that a set is judged with: None, the shipped ones, but for the cells others; see the top."""
    if name != "cells":
        return None
    path = work / "features-without-cells.safetensors"
    if not path.exists():
        sys.path.append(str(ROOT / "tools"))
        from train_features import read_parts, weights_from

        parts, classes = read_parts(root)
        others = {told: part for told, part in parts.items() if CELLS not in told}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, weights_from(others, classes, seed=0))
    return path


def cheats(spare: Real, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return sets of `count` images, from the best to the worst, made from images that play no other part."""
    last = spare.images[-count:]
    floors = DOMAINS["images"].floors(last, seed)
    made = {"real": last, "blurred": floors["blurred"]}
    if spare.labels is not None:
        made["one class"] = spare.images[spare.labels == 3][:count]
    return made | {name: floors[name] for name in ("one image repeated", "noise")}


def judged_runs(folders: list[Path], weights: Path | None) -> dict[str, Any]:
    """Return {how long a run was trained: its verdict}, the longest first, by what was held out of its training."""
    found = {}
    for folder in folders:
        run = gandem.open_run(folder)
        facts = gandem.evaluate(run, count=2000, features=weights)
        budget = Budget(**run.report["budget"])
        told = facts["verdict"] | {"n": facts["counts"]["generated"], "seen": run.report["images"]}
        if "judgement" in facts:
            told["frechet_share"] = facts["judgement"]["rows"]["generated"]["frechet_share"]
        found[f"trained for {budget}"] = told
    return {name: found[name] for name in longest_first(found)}


def verdicts(real: Real, features: Any, seed: int = 0) -> dict[str, Any]:
    """Return {cheat: verdict and the numbers behind it}, from the best to the worst."""
    count = min((len(real.images) - FEWEST) // 2, 2000)
    end = min(3 * count, len(real.images) - count)
    held_out, training = features(real.images[:count]), features(real.images[count:end])
    spare = Real(real.images[end:], None if real.labels is None else real.labels[end:])
    found = {}
    for name, images in cheats(spare, count, seed).items():
        rows = features(images)
        copying = Copying.of(rows, training, held_out)
        judgement = judge(rows, held_out, real=training[:count], floors={}, copying=copying)
        share = judgement.generated["frechet_share"].to_dict()
        found[name] = Verdict.of(judgement).to_dict() | {"n": len(images), "frechet_share": share}
    return found


def order_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return whether every word is worse than the one before it, and the neighbours that are a tie, or reversed."""
    places = {name: [*ORDER, "cannot tell"].index(told["verdict"]) for name, told in found.items()}
    ties = [pair for pair in pairwise(places) if places[pair[0]] == places[pair[1]]]
    wrong = [pair for pair in pairwise(places) if places[pair[0]] > places[pair[1]]]
    return {"strict": not ties and not wrong, "ties": ties, "reversed": wrong}


def copies(real: Real, features: Any, trials: int) -> dict[str, Any]:
    """Return how often copying is said without copies, and with a tenth of each kind of copy."""
    images = real.images[:DRAWN_FROM]
    n = min(len(images) // 3, 1000)
    moved = np.pad(images, ((0, 0), (2, 0), (2, 0), (0, 0)), mode="edge")[:, :-2, :-2]
    copied = {"plain": images, "mirrored": np.ascontiguousarray(images[:, :, ::-1]), "shifted": moved}
    kinds = {kind: in_variants(copies, features) for kind, copies in copied.items()}
    plain = kinds["plain"]
    rng = np.random.default_rng(0)
    said = dict.fromkeys(("none", *kinds), 0)
    for _ in range(trials):
        order = torch.from_numpy(rng.permutation(len(images)))
        fresh, held_out, training = order[:n], order[n : 2 * n], order[2 * n : 2 * n + 5000]
        stolen = training[: round(COPIED * n)]
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
    return torch.stack([features(variant) for variant in variants(images)])


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
    parser.add_argument("--run", action="append", default=[], help="SET=FOLDER: judge a run too; once for each")
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    for name in options.sets:
        weights = features_of(name, options.data, options.work)
        features = DOMAINS["images"].features(None, weights)
        real = load(name, options.data)
        runs = [Path(run.partition("=")[2]) for run in options.run if run.startswith(f"{name}=")]
        known = load_results(options.results).get(f"judging-{name}", {"figures": {}})["figures"]
        made = verdicts(real, features)
        found = {"real": made.pop("real")} | judged_runs(runs, weights) | made
        order = order_of(found)
        print(
            name,
            *(f"  {each:20} {told['verdict']}" for each, told in found.items()),
            f"  {order}",
            sep="\n",
            flush=True,
        )
        figures = {
            "features": {"name": features.name, "fingerprint": features.fingerprint},
            "images": len(real.images),
            "verdicts": found,
            "order": order,
            "copies": copies(real, features, options.trials) if options.trials else known["copies"],
        }
        save_result(f"judging-{name}", figures, seed=0, folder=options.results)


if __name__ == "__main__":
    main()
