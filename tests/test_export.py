"""The exported generator must be the live one: conditional and unconditional, at batch sizes it was not traced with."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gandem.domains.images.networks import NETWORKS, build_networks
from gandem.errors import DependencyError, ExportError, StorageError
from gandem.recipe import NetworkOptions
from gandem.spec import SampleSpec
from gandem.uses import export
from gandem.uses.export import export_onnx


def run_with(labels: int, kind: str = "residual") -> SimpleNamespace:
    torch.manual_seed(0)
    spec = SampleSpec((3, 16, 12), tuple(f"class {i}" for i in range(labels)))
    options = NetworkOptions(kind=kind, width=32, latent=8)
    generator = build_networks(spec, options)[0].eval()
    for parameter in generator.parameters():  # the last layers start at zero and would hide a wrong one
        torch.nn.init.normal_(parameter, 0, 0.1)
    return SimpleNamespace(generator=lambda: generator, spec=spec, recipe=SimpleNamespace(network=options))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("labels", [0, 3])
def test_agrees_with_the_live_generator(tmp_path: Path, labels: int, kind: str, capfd) -> None:
    result = export_onnx(run_with(labels, kind), tmp_path / "x.onnx", check=2)
    assert result["max_difference"] <= 1e-4
    assert set(result["inputs"]) == ({"latent", "label"} if labels else {"latent"})
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    assert capfd.readouterr() == ("", "")


def test_a_network_that_fixes_its_batch_is_refused(tmp_path: Path) -> None:
    run = run_with(0)
    run.generator().forward = lambda latent, label=None: latent.view(len(latent), 1, 2, 4)
    with pytest.raises(ExportError):
        export_onnx(run, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_places_that_take_no_file_are_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="is a folder"):
        export.export(run_with(0), tmp_path / "folder.onnx")
    with pytest.raises(StorageError, match="file"):
        export.export(run_with(0), tmp_path / "file" / "x.onnx")


def test_nothing_is_left_when_it_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_difference", lambda *_: float("inf"))
    with pytest.raises(ExportError, match="differs from the run"):
        export_onnx(run_with(0), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"pip install -e '\.\[export\]'"):
        export_onnx(run_with(0), tmp_path / "x.onnx")
