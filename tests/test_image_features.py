"""What the judge sees of images: the same for every form of a picture, and files that cannot be used are named."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from gandem.domains.images import IMAGES, features
from gandem.domains.images.features import (
    BLOCK,
    FINGERPRINT,
    SHIPPED,
    WIDTH,
    Encoder,
    ImageFeatures,
    load_features,
    to_square,
)
from gandem.domains.images.floors import variants
from gandem.domains.images.store import ImageData
from gandem.errors import DependencyError, JudgeError
from gandem.holdout import digests
from gandem.judge.distances import frechet_value
from gandem.judge.neighbours import nearest
from gandem.spec import SampleSpec


@pytest.fixture(scope="module")
def shipped() -> ImageFeatures:
    return load_features()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_the_shipped_weights_are_those_that_were_measured(shipped: ImageFeatures) -> None:
    data = SHIPPED.read_bytes()
    assert hashlib.sha256(data).hexdigest()[:12] == FINGERPRINT == shipped.fingerprint
    assert len(data) < 3_000_000


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(28, 28), (32, 32), (5, 70), (90, 40)])
def test_every_kind_of_image(shipped: ImageFeatures, channels: int, size: tuple[int, int]) -> None:
    found = shipped(noise(3, *size, channels))
    assert found.shape == (3, WIDTH) and found.dtype == torch.float64 and not found.requires_grad
    assert found.isfinite().all() and (found[0] - found[1]).norm() > 0


@pytest.mark.parametrize("side", [28, 32, 64])
def test_an_image_is_the_same_in_every_mode(shipped: ImageFeatures, side: int) -> None:
    grey = noise(4, side, side, 1)
    opaque = np.full_like(grey, 255)
    colour = grey.repeat(3, axis=-1)
    for other in (colour, np.concatenate([grey, opaque], -1), np.concatenate([colour, opaque], -1)):
        assert torch.equal(shipped(other), shipped(grey))


def test_alpha_is_laid_on_white() -> None:
    clear = np.concatenate([noise(2, 20, 20, 3), np.zeros((2, 20, 20, 1), np.uint8)], -1)
    assert (to_square(clear) == 1).all()


def test_large_images_are_smoothed_before_they_shrink() -> None:
    stripes = np.zeros((1, 128, 128, 1), np.uint8)
    stripes[:, :, ::2] = 255
    assert to_square(stripes)[..., 1:-1].abs().max() < 0.01


def test_small_images_grow_by_the_plain_bilinear() -> None:
    images = noise(2, 28, 20, 3)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    plain = nn.functional.interpolate(pixels, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(to_square(images), plain, rtol=0, atol=1e-5)


def test_the_block_does_not_matter(shipped: ImageFeatures, fashion: ImageData) -> None:
    images = fashion.images[: BLOCK + 20]
    whole = shipped(images)
    assert torch.equal(shipped(images), whole)
    apart = torch.cat([shipped(images[:7]), shipped(images[7:])])
    torch.testing.assert_close(apart, whole, rtol=1e-4, atol=1e-4)


def test_copies_are_nearer_than_other_images(shipped: ImageFeatures, fashion: ImageData) -> None:
    images = fashion.images[:1000]
    others = shipped(images)
    moved = np.zeros_like(images)
    moved[:, :, 2:] = images[:, :, :-2]
    for copies, least in ((images, 1.0), (images[:, :, ::-1], 0.9), (moved, 0.9)):
        hits = nearest(shipped(copies), others)[1][:, 0] == torch.arange(1000)
        assert hits.double().mean() >= least


def test_a_copy_does_not_hide_behind_a_mirror_or_a_shift() -> None:
    images = noise(3, 30, 44, 3)
    assert np.array_equal(variants(images)[0], images)
    assert any(np.array_equal(each, images) for each in variants(images[:, :, ::-1]))
    moved = np.roll(images, (2, 3), (1, 2))  # 7 % of the sides
    inner = np.s_[:, 2:-2, 3:-3]
    assert any(np.array_equal(each[inner], images[inner]) for each in variants(moved))


def test_a_copy_does_not_hide_behind_a_turn_where_pictures_are_turned() -> None:
    images = noise(3, 30, 30, 3)
    for copy in (np.rot90(images, quarters, (1, 2)) for quarters in (1, 2, 3)):
        for hidden in (copy, copy[:, :, ::-1]):
            assert any(np.array_equal(each, images) for each in variants(hidden, turn=True))
    turned, upright = (ImageData(images, None, SampleSpec((3, 30, 30)), turn=turn) for turn in (True, False))
    assert len(IMAGES.variants(images, turned)) == len(IMAGES.variants(images, upright)) + 6


def test_worse_images_are_further_away(shipped: ImageFeatures, fashion: ImageData) -> None:
    order = np.random.default_rng(0).permutation(len(fashion.images))
    images, real = fashion.images[order[:1000]], shipped(fashion.images[order[1000:2000]])
    slightly = (images + np.random.default_rng(0).normal(0, 12, images.shape)).clip(0, 255).astype(np.uint8)
    small = torch.nn.functional.avg_pool2d(torch.from_numpy(images[..., 0]).float(), 5, 1, 2)
    blurred = small.round().to(torch.uint8)[..., None].numpy()
    distances = [frechet_value(shipped(some), real) for some in (images, slightly, blurred, noise(*images.shape))]
    assert distances == sorted(distances) and distances[1] > 1.5 * distances[0]


def test_the_same_weights_from_a_file_of_the_user(shipped: ImageFeatures, tmp_path: Path) -> None:
    save_file(load_file(SHIPPED), tmp_path / "own.safetensors")
    own = load_features(tmp_path / "own.safetensors")
    assert own.name == "own.safetensors" and own.fingerprint != FINGERPRINT
    assert torch.equal(own(noise(2, 32, 32, 3)), shipped(noise(2, 32, 32, 3)))


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(SHIPPED.read_bytes()[:1000])
    save_file(nn.Linear(2, 2).state_dict(), tmp_path / "layout.safetensors")
    save_file(Encoder().state_dict() | {"project.bias": torch.zeros(3)}, tmp_path / "shape.safetensors")
    (tmp_path / "weights.pt").write_bytes(b"pickle")
    for name in ("cut.safetensors", "layout.safetensors", "shape.safetensors", "weights.pt", "absent.onnx"):
        with pytest.raises(JudgeError, match=name) as raised:
            load_features(tmp_path / name)
        assert "\n" not in str(raised.value)


def test_damage_to_the_shipped_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(SHIPPED.read_bytes())
    data[-1] ^= 1
    (tmp_path / "encoder.safetensors").write_bytes(data)
    monkeypatch.setattr(features, "SHIPPED", tmp_path / "encoder.safetensors")
    with pytest.raises(JudgeError, match="install gandem again"):
        load_features()


def network(operator: str, path: Path, *shape: int | str) -> Path:
    """Write a network of one operator, of float32 images."""
    pytest.importorskip("onnxruntime")
    helper, float32 = pytest.importorskip("onnx").helper, 1
    entry = helper.make_tensor_value_info("images", float32, shape)
    out = helper.make_tensor_value_info("found", float32, None)
    graph = helper.make_graph([helper.make_node(operator, ["images"], ["found"])], "g", [entry], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_any_onnx_network(tmp_path: Path) -> None:
    fixed = load_features(network("GlobalAveragePool", tmp_path / "fixed.onnx", "n", 3, 12, 10))
    images = noise(BLOCK + 3, 20, 30, 3)
    found = fixed(images)
    assert found.shape == (BLOCK + 3, 3) and found.dtype == torch.float64 and fixed.name == "fixed.onnx"
    for index in (0, BLOCK + 2):  # as clean-fid resizes, written a second time
        for channel in range(3):
            picture = Image.fromarray(images[index, :, :, channel].astype(np.float32))
            small = np.asarray(picture.resize((10, 12), Image.Resampling.BICUBIC)).clip(0, 255) / 255
            assert abs(float(found[index, channel]) - small.mean()) < 1e-6


def test_an_onnx_network_of_no_fixed_size_sees_299_pixels(tmp_path: Path) -> None:
    free = load_features(network("Flatten", tmp_path / "free.onnx", "n", 3, "h", "w"))
    assert torch.equal(free(np.full((1, 8, 8, 1), 255, np.uint8)), torch.ones(1, 3 * 299 * 299).double())


def test_onnx_files_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network("GlobalAveragePool", tmp_path / "four.onnx", "n", 4, 8, 8)
    network("GlobalAveragePool", tmp_path / "single.onnx", 1, 3, 8, 8)
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    for name in ("broken.onnx", "four.onnx", "single.onnx"):
        with pytest.raises(JudgeError, match=name) as raised:
            load_features(tmp_path / name)
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.onnx").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"pip install -e '\.\[export\]'"):
        load_features(tmp_path / "x.onnx")


def test_what_the_features_learnt_from_is_known(shipped: ImageFeatures, fashion: ImageData) -> None:
    assert shipped.learnt.dtype == np.uint64 and len(np.unique(shipped.learnt)) == len(shipped.learnt) > 70_000
    assert not shipped.learnt_from(fashion.images).any()  # the pictures that ship can be judged
    some = replace(shipped, learnt=digests(image.data for image in fashion.images[5:8]))
    assert np.flatnonzero(some.learnt_from(fashion.images[:10])).tolist() == [5, 6, 7]
