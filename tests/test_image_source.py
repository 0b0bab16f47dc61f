"""What comes in: every kind of source, and every kind of damage that people bring along."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gandem.domains.images import IMAGES, arrays
from gandem.errors import SourceError
from gandem.recipe import DataOptions
from pictures import classes_of, encoded, folder_of, pattern, read, refused, skipped

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


@pytest.mark.parametrize("folder", ["", "images/"])
def test_a_table_may_lie_beside_the_only_folder(tmp_path, folder):
    root = tmp_path / "set"
    root.mkdir()
    folder_of(root / "images", 4)
    (root / "labels.csv").write_text("file_name,label\n" + "".join(f"{folder}good{n}.png,{n % 2}\n" for n in range(4)))
    assert read(root).labels.tolist() == [0, 1, 0, 1]


def test_a_parquet_file_beside_images_is_no_source(tmp_path):
    root = folder_of(tmp_path / "set", 4)
    (root / "metadata.parquet").write_bytes(b"PAR1 something else")
    assert len(read(root)) == 4


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
        ({"images": GOOD, "labels": np.full((3, 4), 7)}, "one label per sample"),
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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_is_skipped(tmp_path):
    root = folder_of(tmp_path / "set", 4)
    (root / "good0.png").rename(os.fsdecode(os.fsencode(root) + b"/caf\xe9.png"))
    data = read(root)
    assert len(data) == 3 and skipped(data) == {"caf?.png": "its name is not UTF-8; rename it"}
    json.dumps(data.report).encode()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_block(tmp_path):
    os.mkfifo(folder_of(tmp_path / "set") / "pipe.png")
    assert skipped(read(tmp_path / "set")) == {"pipe.png": "not a regular file"}


def test_an_empty_text_is_no_source() -> None:
    with pytest.raises(SourceError, match="empty"):
        IMAGES.read("", DataOptions())


def test_label_names_of_an_npz_name_the_classes(tmp_path: Path) -> None:
    names = np.array(["shirt", "bag", "never used"])
    images = np.random.default_rng(0).integers(0, 255, (6, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.array([0, 1, 1, 0, 1, 0], np.uint8), label_names=names)
    data = IMAGES.read(tmp_path / "x.npz", DataOptions())
    assert data.spec.labels == ("shirt", "bag")
    assert data.labels.tolist() == [0, 1, 1, 0, 1, 0]
    np.savez(tmp_path / "y.npz", images=images, labels=np.array([0, 1, 1, 0, 3, 0]), label_names=names)
    with pytest.raises(SourceError, match="label_names"):
        IMAGES.read(tmp_path / "y.npz", DataOptions())
