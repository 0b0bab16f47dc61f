"""The examples: every one can be read by Python, and runs where its libraries are installed."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_compiles(example: Path) -> None:
    compile(example.read_text(encoding="utf-8"), example.name, "exec")


def test_keras_models_play_and_come_out_again(tmp_path: Path) -> None:
    pytest.importorskip("keras", reason="Keras is installed by those who have models of it")
    (example,) = [path for path in EXAMPLES if path.name == "keras_networks.py"]
    command = [sys.executable, str(example), "--budget", "64", "--out", str(tmp_path / "keras")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "reloaded under torch" in told and "as ONNX" in told
    assert (tmp_path / "keras" / "generator.onnx").is_file()
