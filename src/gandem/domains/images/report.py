"""The data report: what was found, what was done with it, what was left out and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from gandem.domains.classes import class_line
from gandem.domains.images.duplicates import find_duplicates
from gandem.domains.images.mislabelled import mislabelled
from gandem.domains.images.readers import Header
from gandem.domains.images.records import Source
from gandem.spec import SampleSpec

_CHANNELS = {1: "grey", 2: "grey + alpha", 3: "RGB", 4: "RGBA"}


def data_report(
    source: Source,
    headers: list[Header],
    images: np.ndarray,
    labels: np.ndarray | None,
    spec: SampleSpec,
    rules: dict[str, str],
) -> dict[str, Any]:
    """Return the report in plain JSON types.

    headers, images, labels: of the images that are used, in one order. rules: words for "size", "channels", "fit".
    """
    channels, height, width = spec.shape
    counts = [] if labels is None else np.bincount(labels, minlength=spec.num_labels).tolist()
    enlarged = sum(header.height < height or header.width < width for header in headers)
    notes = list(source.notes)
    if enlarged:
        notes.append(f"{enlarged} images are smaller than {width} x {height} and were enlarged")
    if counts and np.median(counts) < 10:
        notes.append(
            f"half of the {len(counts)} classes have fewer than 10 images; --set data.labels=none leaves classes out"
        )
    reasons = Counter(reason for _, reason in source.skipped)
    duplicates = find_duplicates(images)
    notes += _warnings(images, duplicates)
    if labels is not None:
        notes += [
            f"WARNING: the pictures most like those of class {spec.labels[label]} carry its label in {share:.0%} of "
            f"all cases, where {usual:.0%} is usual: are its labels right?"
            for label, share, usual in mislabelled(images, labels)
        ]
    return {
        "source": source.where,
        "kind": source.kind,
        "images": len(images),
        "classes": dict(zip(spec.labels, counts, strict=True)) if counts else {},
        "original_sizes": _sizes(headers),
        "size": {"height": height, "width": width, "rule": rules["size"], "fit": rules["fit"]},
        "channels": {"count": channels, "name": _CHANNELS[channels], "rule": rules["channels"]},
        "formats": dict(Counter(header.format for header in headers).most_common()),
        "skipped": {
            "count": len(source.skipped),
            "reasons": dict(reasons.most_common()),
            "files": [{"name": name, "reason": reason} for name, reason in source.skipped[:50]],
        },
        "duplicates": duplicates,
        "enough": enough(len(images)),
        "notes": notes,
    }


def _warnings(images: np.ndarray, duplicates: dict[str, Any]) -> list[str]:
    """Say what makes a training on these images pointless."""
    found = []
    share = duplicates["exact"] / len(images)
    if share > 0.5:
        found.append(f"WARNING: {share:.0%} of the images are exact copies of others; a generator can only repeat them")
    some = images[:: max(len(images) // 1000, 1)]
    low, high = int(some.min()), int(some.max())
    if high - low < 32:
        found.append(f"WARNING: all pixels lie between {low} and {high} of 255: were they scaled twice before?")
    return found


def enough(count: int) -> str:
    """Say in a sentence what a number of images is enough for."""
    if count < 100:
        return f"{count} images are too few to learn variety: expect close copies of them; gather 1,000 or more"
    if count < 1000:
        return f"{count} images are few: expect little variety; 1,000 or more is better"
    if count < 10_000:
        return f"{count:,} images are a small set: good enough to learn from"
    if count < 20_000:
        return f"{count:,} images are a good set"
    return f"{count:,} images are plenty"


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report as a few lines for a terminal."""
    size, channels, skipped, doubles = (report[key] for key in ("size", "channels", "skipped", "duplicates"))
    original = report["original_sizes"]
    found = [f"{report['images']:,} images in {report['kind']} {report['source']}"]
    if report["classes"]:
        found.append(class_line(report["classes"]))
    found.append(
        f"size {size['width']} x {size['height']} ({size['rule']}), {channels['name']} ({channels['rule']}); "
        f"originals {original['min'][0]} x {original['min'][1]} to {original['max'][0]} x {original['max'][1]}"
    )
    if skipped["count"]:
        reasons = "; ".join(f"{count} {reason}" for reason, count in list(skipped["reasons"].items())[:3])
        reasons += "; and more" if len(skipped["reasons"]) > 3 else ""
        found.append(f"{skipped['count']:,} skipped: {reasons}")
    if doubles["exact"] or doubles["near"]:
        found.append(f"{doubles['exact']:,} exact and {doubles['near']:,} near duplicates in {doubles['looked_at']:,}")
    return [*found, *report["notes"], report["enough"]]


def _sizes(headers: list[Header]) -> dict[str, Any]:
    """Return sizes as [width, height], by number of pixels, and the most frequent ones with their counts."""
    ordered = sorted(((header.width, header.height) for header in headers), key=lambda size: (size[0] * size[1], size))
    common = Counter(ordered).most_common(5)
    return {
        "min": list(ordered[0]),
        "median": list(ordered[len(ordered) // 2]),
        "max": list(ordered[-1]),
        "common": [{"width": width, "height": height, "count": count} for (width, height), count in common],
    }
