"""What comes in: every kind of source, and every kind of damage that people bring along."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gandem.domains.images import IMAGES, ImageData, arrays, memory, readers
from gandem.domains.images.report import lines
from gandem.errors import SourceError, StorageError
from gandem.recipe import DataOptions


def pattern(seed: int, height: int = 32, width: int = 32, channels: int = 3) -> np.ndarray:
    """Return a smooth picture (height, width, channels), another one for every seed."""
    y, x, c = np.mgrid[:height, :width, :channels]
    waves = np.sin((x * (1 + seed % 3) + seed) / 5 + c) + np.cos((y * (1 + seed % 5) - seed) / 7 + c * seed)
    return np.uint8(np.clip(127 + 60 * waves, 0, 255))


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture.squeeze())
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def folder_of(root: Path, count: int = 4, **files: bytes) -> Path:
    """Write `count` good images and other files, "__" standing for a slash and "_dot_" for a dot."""
    root.mkdir(exist_ok=True)
    for index in range(count):
        (root / f"good{index}.png").write_bytes(encoded(pattern(index)))
    for name, data in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def classes_of(root: Path, **counts: int) -> Path:
    for number, (name, count) in enumerate(counts.items()):
        folder_of(root / name, 0).mkdir(exist_ok=True) if root.exists() else (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(encoded(pattern(10 * number + index)))
    return root


def read(path: Path, cache: Path | None = None, **options) -> ImageData:
    return IMAGES.read(path, DataOptions(**options), cache, None)


def refused(path: Path, *words: str, **options) -> None:
    with pytest.raises(SourceError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def skipped(data: ImageData) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in data.report["skipped"]["files"]}


# Kinds of sources


def test_folder_without_classes(tmp_path):
    data = read(folder_of(tmp_path / "photos"))
    assert data.spec.shape == (3, 32, 32) and data.labels is None and len(data) == 4
    np.testing.assert_array_equal(data.images[2], pattern(2))
    batch = data.batch(torch.tensor([2, 0]))
    assert set(batch) == {"real"} and batch["real"].dtype == torch.float32
    assert batch["real"].is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(data.codec.decode(batch["real"]), data.images[[2, 0]])


def test_nested_folders_are_classes(tmp_path):
    data = read(classes_of(tmp_path / "pets", dog=2, cat=3))
    assert data.spec.labels == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.report["classes"] == {"cat": 3, "dog": 2}
    assert data.batch(torch.tensor([4]))["label"].tolist() == [1]


def test_classes_with_numbers_for_names_are_in_order_of_value(tmp_path):
    assert read(classes_of(tmp_path / "digits", **{"10": 2, "9": 2})).spec.labels == ("9", "10")


def test_labels_none_leaves_classes_out(tmp_path):
    assert read(classes_of(tmp_path / "pets", dog=2, cat=3), labels="none").spec.labels == ()


def test_a_single_folder_is_no_class(tmp_path):
    assert read(classes_of(tmp_path / "pets", dog=3)).labels is None


def test_only_the_train_split_is_used(tmp_path):
    classes_of(tmp_path / "set" / "train", dog=2, cat=2)
    classes_of(tmp_path / "set" / "test", dog=1, cat=1)
    data = read(tmp_path / "set")
    assert len(data) == 4 and data.spec.labels == ("cat", "dog")
    assert any("split 'train'" in note for note in data.report["notes"])


def test_many_loose_images_beside_folders_are_not_classes(tmp_path):
    data = read(folder_of(classes_of(tmp_path / "mixed", dog=2, cat=2)))
    assert len(data) == 8 and data.labels is None


def test_few_loose_images_beside_classes_are_skipped(tmp_path):
    data = read(folder_of(classes_of(tmp_path / "mixed", dog=10, cat=10), 1))
    assert len(data) == 20 and "no class" in skipped(data)["good0.png"]


@pytest.mark.parametrize("table", ["metadata.csv", "labels.csv"])
def test_a_table_gives_labels(tmp_path, table):
    rows = b"file_name,label\ngood0.png,sun\ngood1.png,moon\ngood2.png,sun\nabsent.png,sun\n"
    root = folder_of(tmp_path / "set", 4)
    (root / table).write_bytes(rows)
    data = read(root)
    assert data.spec.labels == ("moon", "sun") and data.labels.tolist() == [1, 0, 1]
    assert "no label" in skipped(data)["good3.png"]
    assert any("1 files that are not there" in note for note in data.report["notes"])


@pytest.mark.parametrize("rows", [b"", b"a,b\n1,2\n", b"file_name,label\nother.png,1\n", b"\xff\xfe\x00"])
def test_a_useless_table_is_a_note(tmp_path, rows):
    root = folder_of(tmp_path / "set")
    (root / "labels.csv").write_bytes(rows)
    data = read(root)
    assert len(data) == 4 and data.labels is None and any("labels.csv" in note for note in data.report["notes"])


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def members(top: str = "set/") -> dict[str, bytes]:
    return {f"{top}{kind}/{index}.png": encoded(pattern(index)) for kind in ("a", "b") for index in range(2)}


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tgz"])
@pytest.mark.parametrize("top", ["", "set/", "./"])
def test_archives_read_like_their_folder(tmp_path, name, top):
    pack = zipped if name.endswith("zip") else tarred
    rubbish = {"__MACOSX/set/a/._0.png": b"x", f"{top}.DS_Store": b"x"}
    data = read(pack(tmp_path / name, members(top) | rubbish))
    assert data.spec.labels == ("a", "b") and len(data) == 4 and data.report["skipped"]["count"] == 0
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
@pytest.mark.parametrize("path", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
def test_paths_that_leave_the_archive_are_refused(tmp_path, name, path):
    pack = zipped if name.endswith("zip") else tarred
    refused(pack(tmp_path / name, members() | {path: b"x"}), "leaves the folder")


def test_links_in_archives_are_refused(tmp_path):
    info = tarfile.TarInfo("a/link.png")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(info)
    refused(tmp_path / "x.tar", "link")
    entry = zipfile.ZipInfo("a/link.png")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr(entry, "/etc/passwd")
    refused(tmp_path / "x.zip", "link")


def test_damaged_archives(tmp_path):
    for name in ("x.zip", "x.tar", "x.tar.gz"):
        (tmp_path / name).write_bytes(b"this is no archive" * 50)
        refused(tmp_path / name, "not a readable", "again")
    whole = tarred(tmp_path / "y.tar.gz", members()).read_bytes()
    (tmp_path / "y.tar.gz").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "y.tar.gz", "not a readable tar")


def test_a_zip_with_a_password(tmp_path):
    data = bytearray(zipped(tmp_path / "x.zip", members()).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "password", "unpack it")


def test_a_damaged_member_of_a_zip_is_skipped(tmp_path):
    path = zipped(tmp_path / "x.zip", members())
    with zipfile.ZipFile(path) as archive:
        at = archive.infolist()[0].header_offset
    data = bytearray(path.read_bytes())
    data[at + 60 : at + 90] = bytes(30)
    path.write_bytes(data)
    assert skipped(read(path)) == {"set/a/0.png": "cut short or damaged"}


# Arrays


@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y"), ("train_images", "train_labels"), ("z", "y")])
def test_npz(tmp_path, keys):
    images = np.stack([pattern(index) for index in range(4)])
    np.savez(tmp_path / "x.npz", **{keys[0]: images, keys[1]: np.array([[7], [3], [7], [3]])})
    data = read(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.images, images)
    assert data.spec.labels == ("3", "7") and data.labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    "convert",
    [
        lambda images: images / 255,
        lambda images: np.float32(images / 127.5 - 1),
        lambda images: np.float64(images),
        lambda images: np.uint16(images) * 257,
        lambda images: np.int64(images),
        lambda images: images.transpose(0, 3, 1, 2),
    ],
    ids=["unit", "signed", "0..255", "uint16", "int64", "NCHW"],
)
def test_npz_of_other_types_gives_the_same_bytes(tmp_path, convert):
    images = np.stack([pattern(index) for index in range(3)])
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    np.savez(tmp_path / "x.npz", images=convert(images))
    np.testing.assert_array_equal(read(tmp_path / "x.npz").images, images)


def test_npz_without_channels_is_grey(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.stack([pattern(index, channels=1)[..., 0] for index in range(3)]))
    assert read(tmp_path / "x.npz").spec.shape == (1, 32, 32)


def test_npz_with_nan_skips_those_images(tmp_path):
    images = np.stack([pattern(index) for index in range(4)]) / 255
    images[1, 3, 4, 0], images[2, 0, 0, 0] = np.nan, np.inf
    np.savez(tmp_path / "x.npz", images=images, labels=[0, 1, 1, 2])
    data = read(tmp_path / "x.npz")
    assert skipped(data) == {"image 1": "holds NaN or infinity", "image 2": "holds NaN or infinity"}
    assert data.spec.labels == ("0", "2")
    np.savez(tmp_path / "x.npz", images=np.full((3, 8, 8), np.nan))
    refused(tmp_path / "x.npz", "every image")


GOOD = np.zeros((3, 16, 16), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"images": np.array([{"a": 1}], dtype=object)}, "Python objects"),
        ({"images": GOOD, "labels": np.array([None, 1, 2], dtype=object)}, "Python objects"),
        ({}, "no array 'images'"),
        ({"a": np.zeros(3)}, "no array 'images'"),
        ({"a": GOOD, "b": GOOD}, "no array 'images'"),
        ({"images": np.zeros((3, 256))}, "shape"),
        ({"images": np.zeros((3, 16, 16, 9))}, "shape"),
        ({"images": np.zeros((0, 16, 16), np.uint8)}, "no image"),
        ({"images": GOOD[:1]}, "one image is not enough"),
        ({"images": GOOD.astype(complex)}, "complex"),
        ({"images": GOOD.astype(int) - 300}, "range"),
        ({"images": GOOD.astype(str)}, "uint8"),
        ({"images": GOOD[:, :2, :2].repeat(8, 2)}, "smaller than"),
        ({"images": GOOD, "labels": np.arange(2)}, "2 labels for 3 images"),
        ({"images": GOOD, "labels": np.array([0.5, 1, 2])}, "fractions"),
        ({"images": GOOD, "labels": np.array([np.nan, 1, 2])}, "NaN"),
        ({"images": GOOD, "labels": np.full((3, 4), 7)}, "one label per image"),
    ],
)
def test_bad_npz(tmp_path, arrays, word):
    np.savez(tmp_path / "x.npz", **arrays)
    refused(tmp_path / "x.npz", word)


def test_npz_that_is_none(tmp_path):
    for data in (b"", b"no zip at all", zipped(tmp_path / "a.zip", {"images.npy": b"rubbish"}).read_bytes()):
        (tmp_path / "x.npz").write_bytes(data)
        refused(tmp_path / "x.npz", "x.npz")
    np.save(tmp_path / "bare.npy", GOOD)
    (tmp_path / "bare.npy").rename(tmp_path / "x.npz")
    refused(tmp_path / "x.npz", "numpy.savez")


@pytest.mark.parametrize("labels", [np.eye(3)[[0, 2, 1, 0]], np.array(["a", "c", "b", "a"]), np.array([0.0, 2, 1, 0])])
def test_labels_of_other_types(tmp_path, labels):
    np.savez(tmp_path / "x.npz", images=np.arange(4 * 256, dtype=np.uint16).reshape(4, 16, 16) % 251, labels=labels)
    assert read(tmp_path / "x.npz").labels.tolist() == [0, 2, 1, 0]


def test_arrays_that_promise_more_than_fits(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((99, 64, 64), np.uint8))
    (tmp_path / "a-images-idx3-ubyte").write_bytes(bytes((0, 0, 8, 3)) + struct.pack(">3I", *[2**31] * 3))
    refused(tmp_path / "a-images-idx3-ubyte", "more than fits in memory")
    monkeypatch.setattr(arrays, "free_memory", lambda: 9999)
    refused(tmp_path / "x.npz", "more than fits in memory")


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_idx(tmp_path, packed):
    images = np.stack([pattern(index, 28, 28, 1)[..., 0] for index in range(6)])
    write = (
        (lambda name, data: (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data)))
        if packed
        else (lambda name, data: (tmp_path / name).write_bytes(data))
    )
    for split, part in (("train", slice(0, 4)), ("t10k", slice(4, 6))):
        write(f"{split}-images-idx3-ubyte", idx(images[part]))
        write(f"{split}-labels-idx1-ubyte", idx(np.arange(6, dtype=np.uint8)[part] % 3))
    data = read(tmp_path)
    np.testing.assert_array_equal(data.images[..., 0], images[:4])
    assert data.labels.tolist() == [0, 1, 2, 0] and data.spec.shape == (1, 28, 28)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0", b"\0\0\x0d\3" + idx(GOOD)[4:], idx(GOOD)[:-5], idx(GOOD) + b"more", gzip.compress(idx(GOOD))[:-30]],
    ids=["empty", "short header", "floats", "short", "long", "cut gzip"],
)
def test_bad_idx(tmp_path, data):
    suffix = ".gz" if data[:2] == b"\x1f\x8b" else ""
    (tmp_path / f"train-images-idx3-ubyte{suffix}").write_bytes(data)
    refused(tmp_path, "idx3-ubyte", "download it again")


# Parquet


def test_parquet_as_hugging_face_writes_it(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": encoded(pattern(index)), "path": f"{index}.png"} for index in range(5)]
    cells[3] = {"bytes": None, "path": "elsewhere.png"}
    features = {"image": {"_type": "Image"}, "label": {"names": ["sea", "land"], "_type": "ClassLabel"}}
    info = json.dumps({"info": {"features": features}})
    for shard, part in enumerate((slice(0, 2), slice(2, 5))):
        table = pa.table({"image": cells[part], "label": pa.array([0, 1, 0, 1, 1][part])})
        table = table.replace_schema_metadata({"huggingface": info})
        pq.write_table(table, tmp_path / f"train-0000{shard}-of-00002.parquet", row_group_size=2)
    data = read(tmp_path)
    assert data.spec.labels == ("sea", "land") and data.labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(data.images[3], pattern(4))
    assert "row 3" in skipped(data)


def test_bad_parquet(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"price": [1.0, 2.0]}), tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", "no column of encoded images", "price")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 rubbish PAR1")
    refused(tmp_path / "x.parquet", "no readable Parquet")


# Sources that are none


def test_sources_that_are_none(tmp_path):
    refused(tmp_path / "missing", "no such file or folder")
    refused(tmp_path, "holds no images")
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path / "notes.txt", "not a source of images")
    (tmp_path / "one.png").write_bytes(encoded(pattern(1)))
    refused(tmp_path / "one.png", "one image is not enough")
    refused(tmp_path, "one image is not enough")
    (tmp_path / "zero.zip").write_bytes(b"")
    refused(tmp_path / "zero.zip", "empty")
    refused(zipped(tmp_path / "empty.zip", {}), "no image")
    with pytest.raises(SourceError, match="download it first"):
        IMAGES.read("https://example.org/photos.zip", DataOptions())


def test_a_folder_with_an_archive_points_to_it(tmp_path):
    zipped(tmp_path / "photos.zip", members())
    refused(tmp_path, "photos.zip")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_block(tmp_path):
    os.mkfifo(folder_of(tmp_path / "set") / "pipe.png")
    assert skipped(read(tmp_path / "set")) == {"pipe.png": "not a regular file"}


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


def test_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    upright = pattern(4, 48, 24)
    sideways = encoded(Image.fromarray(np.rot90(upright)), "JPEG", exif=exif, quality=95, subsampling=0)
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


def test_progress_and_terminal_lines(tmp_path):
    told = []
    data = IMAGES.read(folder_of(tmp_path / "set"), DataOptions(), None, lambda *event: told.append(event))
    assert told[-1] == ("reading", 4, 4)
    text = lines(data.report)
    assert text[0].startswith("4 images in folder") and all("\n" not in line for line in text)
