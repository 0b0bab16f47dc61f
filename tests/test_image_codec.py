"""Pictures as tensors and back, and the grids that people look at."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gandem.domains import animation
from gandem.domains.given import opened
from gandem.domains.images import IMAGES
from gandem.domains.images.codec import ImageCodec
from gandem.domains.images.preview import grid
from gandem.domains.images.source import open_source
from gandem.spec import SampleSpec


@settings(max_examples=50, deadline=None)
@given(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)), st.integers(0, 2**32 - 1))
def test_decode_undoes_encode(shape, seed):
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    codec = ImageCodec(SampleSpec((shape[3], shape[1], shape[2])))
    samples = codec.encode(images)
    assert samples.shape == (shape[0], shape[3], shape[1], shape[2]) and samples.dtype == torch.float32
    assert samples.min() >= -1 and samples.max() <= 1
    np.testing.assert_array_equal(codec.decode(samples), images)


def test_every_byte_survives():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    codec = ImageCodec(SampleSpec((1, 16, 16)))
    np.testing.assert_array_equal(codec.decode(codec.encode(images)), images)


def test_decode_clamps_and_takes_other_layouts():
    codec = ImageCodec(SampleSpec((3, 2, 2)))
    samples = torch.tensor([-9.0, 0.0, 9.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    for kind in (torch.float32, torch.bfloat16, torch.float64):
        assert codec.decode(samples.to(kind))[0, 1, 1].tolist() == [0, 128, 255]


def test_a_codec_survives_json():
    codec = ImageCodec(SampleSpec((3, 8, 16), ("cat", "dog")))
    assert IMAGES.codec(json.loads(json.dumps(codec.to_dict()))).spec == codec.spec


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pictures_and_grid(channels, mode):
    images = np.full((5, 8, 12, channels), 255, np.uint8)
    images[..., 0] = 9
    pictures = ImageCodec(SampleSpec((channels, 8, 12))).given(images)
    assert [picture.mode for picture in pictures] == [mode] * 5 and pictures[0].size == (12, 8)
    paper = grid(images, columns=2)
    assert paper.size == (2 * (12 * 8 + 2) + 2, 3 * (8 * 8 + 2) + 2)
    assert np.asarray(paper.convert("RGB"))[3, 3, 0] == 9
    assert grid(images).size[0] == 3 * (12 * 8 + 2) + 2


@pytest.mark.parametrize("layout", ["NHW", "NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("float32", -1, 1), ("float64", 0, 1), ("uint8", 0, 255), ("int16", 0, 255)]
)
def test_samples_look_like_the_array_that_was_given(layout: str, dtype: str, low: int, high: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (6, 16, 18, 1 if layout == "NHW" else 3))
    levels.flat[:2] = 0, 255
    given = (low + (high - low) * levels / 255).astype(dtype)
    given = given[..., 0] if layout == "NHW" else given.transpose(0, 3, 1, 2) if layout == "NCHW" else given
    source = open_source(opened(given))
    back = source.array.of(source.pixels)
    assert back.shape == given.shape and back.dtype == given.dtype
    np.testing.assert_allclose(back, given, atol=1e-6)


def test_animation(tmp_path):
    frames = []
    for index in range(70):
        frames.append(tmp_path / f"{index:03}.png")
        Image.fromarray(np.uint8(np.indices((10, 20)).sum(0) * index % 256)).save(frames[-1])
    animation.write(frames, tmp_path / "training.gif")
    with Image.open(tmp_path / "training.gif") as moving:
        assert 30 <= moving.n_frames <= 60 and moving.size == (20, 10)
    animation.write([], tmp_path / "none.gif")
    assert not (tmp_path / "none.gif").exists()
