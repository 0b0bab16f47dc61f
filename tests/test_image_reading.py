"""What happens to each image: broken ones, modes, size, channels, and the store they end in."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gandem.domains.images import IMAGES, memory, readers
from gandem.domains.images.report import lines
from gandem.errors import SourceError, StorageError
from gandem.recipe import DataOptions
from pictures import classes_of, encoded, folder_of, pattern, read, refused, skipped

# Images that are none, or not as expected


def huge_png(width: int = 20_000, height: int = 20_000) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


BROKEN = {
    "text.png": (b"I am a text", "not an image"),
    "empty.png": (b"", "empty"),
    "short.jpg": (encoded(pattern(9, 64, 64), "JPEG")[:600], "cut short"),
    "short.png": (encoded(pattern(9))[:200], "cut short"),
    "header.png": (encoded(pattern(9))[:20], "cut short"),
    "huge.png": (huge_png(), "64 megapixels"),
    "wide.png": (huge_png(100_000, 700), "64 megapixels"),
    "tiny.png": (encoded(pattern(9, 2, 2)), "smaller than"),
    "phone.heic": (b"\0\0\0\x18ftypheic", "not read"),
    "page.gif": (b"GIF89a", ""),
    "program.jpg": (b"\x7fELF" + bytes(100), "not an image"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "bad.tif": (b"II*\0\xff\xff\xff\xff", ""),
    "nan.tif": (encoded(Image.fromarray(np.full((16, 16), np.nan, np.float32)), "TIFF"), "NaN"),
}


def test_broken_files_are_skipped_and_named(tmp_path):
    root = folder_of(tmp_path / "set")
    for name, (data, _) in BROKEN.items():
        (root / name).write_bytes(data)
    data = read(root)
    assert len(data) == 4
    found = skipped(data)
    assert found.keys() == BROKEN.keys()
    for name, (_, reason) in BROKEN.items():
        assert reason in found[name]
    assert data.report["skipped"]["count"] == len(BROKEN) == sum(data.report["skipped"]["reasons"].values())
    assert any("skipped" in line for line in lines(data.report))


def test_when_all_files_are_broken(tmp_path):
    refused(folder_of(tmp_path / "set", 0, a_dot_png=b"x", b_dot_png=b"y"), "no image can be read", "2 skipped")


def test_unreadable_file(tmp_path, monkeypatch):
    root = folder_of(tmp_path / "set")
    (root / "good3.png").chmod(0)
    if os.access(root / "good3.png", os.R_OK):  # this user may read everything: play one that may not
        really_open = Path.open

        def guarded(path, *arguments, **options):
            if path.name == "good3.png":
                raise PermissionError(13, "Permission denied", str(path))
            return really_open(path, *arguments, **options)

        monkeypatch.setattr(Path, "open", guarded)
    assert skipped(read(root)) == {"good3.png": "no permission to read it"}


def test_links_that_leave_the_folder_are_skipped(tmp_path):
    outside = folder_of(tmp_path / "outside", 2)
    root = folder_of(tmp_path / "set")
    (root / "away.png").symlink_to(outside / "good0.png")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "inside.png").symlink_to(root / "good0.png")
    (root / "broken.png").symlink_to(root / "nothing.png")
    data = read(root)
    assert len(data) == 5
    assert skipped(data).keys() == {"away.png", "folder", "loop", "broken.png"}


def test_hidden_files_are_left_alone(tmp_path):
    data = read(folder_of(tmp_path / "set", 3, _dot_hidden_dot_png=b"x", __MACOSX=b""))
    assert len(data) == 3 and data.report["skipped"]["count"] == 0


GREY = pattern(3, channels=1)[..., 0]
COLOUR = Image.fromarray(pattern(3))
GLASS = Image.fromarray(np.dstack([pattern(3), GREY]))

MODES = {
    "1 bit": (encoded(Image.fromarray(GREY).convert("1")), "L"),
    "grey": (encoded(GREY), "L"),
    "16 bit": (encoded(np.uint16(GREY) * 257), "L"),
    "16 bit TIFF": (encoded(np.uint16(GREY) * 257, "TIFF"), "L"),
    "float TIFF": (encoded(np.float32(GREY) / 255, "TIFF"), "L"),
    "LA": (encoded(GLASS.convert("LA")), "LA"),
    "RGBA": (encoded(GLASS), "RGBA"),
    "palette": (encoded(COLOUR.quantize(64)), "RGB"),
    "palette with transparency": (encoded(COLOUR.quantize(64), transparency=3), "RGBA"),
    "RGB with transparency": (encoded(COLOUR, transparency=(1, 2, 3)), "RGBA"),
    "CMYK": (encoded(COLOUR.convert("CMYK"), "JPEG"), "RGB"),
    "YCbCr TIFF": (encoded(COLOUR.convert("YCbCr"), "TIFF"), "RGB"),
    "JPEG": (encoded(COLOUR, "JPEG"), "RGB"),
    "WebP": (encoded(GLASS, "WEBP", lossless=True), "RGBA"),
    "BMP": (encoded(COLOUR, "BMP"), "RGB"),
    "PPM": (encoded(COLOUR, "PPM"), "RGB"),
    "animated GIF": (encoded(COLOUR, "GIF", save_all=True, append_images=[GLASS.convert("RGB").rotate(90)]), "RGB"),
}


@pytest.mark.parametrize(("data", "mode"), MODES.values(), ids=MODES)
def test_every_mode_is_read(data, mode):
    assert readers.header_of(io.BytesIO(data)).width == 32
    image = readers.decode(data)
    assert image.mode == mode and image.size == (32, 32)
    for channels in (1, 2, 3, 4):
        assert readers.fitted(image, (32, 32), "crop", channels).shape == (32, 32, channels)


@pytest.mark.parametrize("kind", ["16 bit", "16 bit TIFF", "float TIFF", "grey"])
def test_grey_of_any_depth_keeps_its_values(kind):
    np.testing.assert_array_equal(readers.decode(MODES[kind][0]), GREY)


@pytest.mark.parametrize("kind", ["PPM", "BMP", "CMYK", "animated GIF", "palette", "JPEG"])
def test_colours_stay_about_the_same(kind):
    difference = np.asarray(readers.decode(MODES[kind][0]), np.float32) - pattern(3)
    assert np.abs(difference).mean() < 16


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_exif_rotation(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    upright = pattern(4, 48, 24)
    how = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    sideways = encoded(Image.fromarray(np.rot90(upright)), kind, exif=exif, **how)
    root = folder_of(tmp_path / "set", 0, a_dot_jpg=sideways, b_dot_jpg=sideways)
    data = read(root)
    assert data.spec.shape == (3, 48, 24) and data.report["original_sizes"]["max"] == [24, 48]
    assert np.abs(data.images[0].astype(int) - upright).mean() < 6


# Size and channels


def test_mixed_sizes_and_channels(tmp_path):
    root = folder_of(tmp_path / "set", 0)
    for index in range(20):
        picture = pattern(index, 70 + index, 90, 1 if index < 3 else 3)
        (root / f"{index:02}.png").write_bytes(encoded(picture))
    data = read(root)
    assert data.spec.shape == (3, 64, 64)
    assert "90 %" in data.report["size"]["rule"] and data.report["original_sizes"]["min"] == [90, 70]


def test_colour_files_without_colour_are_grey(tmp_path):
    root = folder_of(tmp_path / "set", 0)
    for index in range(4):
        (root / f"{index}.jpg").write_bytes(encoded(np.repeat(pattern(index, channels=1), 3, 2), "JPEG"))
    assert read(root).spec.shape[0] == 1
    assert read(root, channels=3).spec.shape[0] == 3


def test_alpha_counts_only_when_something_is_transparent(tmp_path):
    opaque, clear = folder_of(tmp_path / "opaque", 0), folder_of(tmp_path / "clear", 0)
    for index in range(3):
        picture = np.dstack([pattern(index), np.full((32, 32), 255, np.uint8)])
        (opaque / f"{index}.png").write_bytes(encoded(picture))
        picture[:9, :, 3] = 0
        (clear / f"{index}.png").write_bytes(encoded(picture))
    assert read(opaque).spec.shape[0] == 3
    assert read(clear).spec.shape[0] == 4
    assert (read(clear, channels=3).images[:, :9] == 255).all()  # laid on white


def test_fit_rules():
    picture = Image.fromarray(np.repeat(np.uint8([[[10], [200], [10]]]), 8, 1).repeat(8, 0).squeeze())
    assert picture.size == (24, 8)
    assert (readers.fitted(picture, (8, 8), "crop", 1) == 200).mean() > 0.7
    padded = readers.fitted(picture, (24, 24), "pad", 1)[..., 0]
    assert (padded[:8] == 10).all() and (padded[16:] == 10).all() and padded[12, 12] == 200
    stretched = readers.fitted(picture, (9, 9), "stretch", 1)[..., 0]
    assert stretched[4, 4] > 150 and stretched[4, 0] < 60 and stretched[4, 8] < 60


def test_scaling_down_is_antialiased():
    checks = Image.fromarray(np.uint8(np.indices((256, 256)).sum(0) % 2 * 255))
    small = readers.fitted(checks, (32, 32), "crop", 1).astype(int)
    assert abs(small - 128).max() < 8


def test_size_as_asked_for(tmp_path):
    root = folder_of(tmp_path / "set")
    assert read(root, size=16).spec.shape == (3, 16, 16)
    assert read(root, size=(16, 24), fit="pad").spec.shape == (3, 16, 24)


# The store


def test_mirror_doubles_the_images(tmp_path):
    data = read(classes_of(tmp_path / "pets", dog=2, cat=3), mirror=True)
    assert len(data) == 10
    batch = data.batch(torch.tensor([1, 6, 9]))
    torch.testing.assert_close(batch["real"][1], batch["real"][0].flip(2), rtol=0, atol=0)
    assert batch["label"].tolist() == [0, 0, 1]


def test_turned_images_are_there_four_times_and_with_mirrored_ones_eight_times(tmp_path):
    root = classes_of(tmp_path / "pets", dog=2, cat=3)
    turned, both = read(root, turn=True), read(root, turn=True, mirror=True)
    assert (len(turned), turned.count, len(both), both.count) == (20, 5, 40, 5)
    views = turned.batch(torch.arange(3, 20, 5))["real"]
    for quarters, view in enumerate(views):
        torch.testing.assert_close(view, views[0].rot90(quarters, (1, 2)), rtol=0, atol=0)
    every = both.batch(torch.arange(3, 40, 5))
    assert len({view.numpy().tobytes() for view in every["real"]}) == 8 and len(every["label"].unique()) == 1
    assert both.pick(torch.tensor([3])).views == 8


def test_only_squares_are_turned(tmp_path):
    with pytest.raises(SourceError, match=r"with --turn pictures of 24 x 16 cannot .* --size 16"):
        read(folder_of(tmp_path / "set"), size=(16, 24), turn=True)


def test_pixels_that_do_not_fit_in_memory_are_mapped(tmp_path, monkeypatch):
    root = folder_of(tmp_path / "set", 4, bad_dot_png=encoded(pattern(1))[:300])
    in_memory = read(root)
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    mapped = read(root, cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["images.npy"]
    assert isinstance(mapped.images, np.memmap) and len(mapped) == 4
    assert mapped.fingerprint == in_memory.fingerprint == read(root).fingerprint
    torch.testing.assert_close(mapped.batch(torch.arange(4)), in_memory.batch(torch.arange(4)), rtol=0, atol=0)


def test_no_room_for_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(StorageError, match="make room"):
        read(folder_of(tmp_path / "set"), cache=tmp_path / "cache")


def test_the_fingerprint_follows_pixels_and_labels(tmp_path):
    first = read(classes_of(tmp_path / "a", dog=2, cat=3))
    again = read(classes_of(tmp_path / "b", dog=2, cat=3))
    other = read(classes_of(tmp_path / "c", dog=3, cat=3))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert read(tmp_path / "a", labels="none").fingerprint != first.fingerprint


def test_duplicates(tmp_path):
    root = folder_of(tmp_path / "set", 5)
    (root / "same.bmp").write_bytes(encoded(pattern(2), "BMP"))
    (root / "nearly.jpg").write_bytes(encoded(pattern(3), "JPEG", quality=90))
    found = read(root).report["duplicates"]
    assert (found["exact"], found["near"], found["looked_at"]) == (1, 1, 7)


@pytest.mark.parametrize(
    ("images", "warning"),
    [
        (np.full((6, 16, 16, 1), 200, np.uint8), "83% of the images are exact copies of others"),
        (np.arange(6 * 256, dtype=np.uint8).reshape(6, 16, 16, 1) % 2, "all pixels lie between 0 and 1 of 255"),
    ],
)
def test_hopeless_data_are_warned_about(tmp_path, images, warning):
    np.savez(tmp_path / "set.npz", images=images)
    assert any(warning in line for line in lines(read(tmp_path / "set.npz").report))


def test_progress_and_terminal_lines(tmp_path):
    told = []
    data = IMAGES.read(folder_of(tmp_path / "set"), DataOptions(), None, lambda *event: told.append(event))
    assert told[-1] == ("reading", 4, 4)
    text = lines(data.report)
    assert text[0].startswith("4 images in folder") and all("\n" not in line for line in text)
