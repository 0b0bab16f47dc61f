"""The command line: it answers quickly, refuses in one line with exit code 2, and keeps its word about the others."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gandem
from gandem import cli, launch
from gandem.errors import Interrupted, SourceError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "GANDEM_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Replace the training by one that takes note of what it was asked for."""
    taken: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def train(*positional: Any, **named: Any) -> SimpleNamespace:
        taken.append((positional, named))
        return SimpleNamespace(summary=lambda: {"images": 640})

    monkeypatch.setattr(gandem, "train", train, raising=False)
    return taken


def training_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def train(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(gandem, "train", train, raising=False)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["sample", "--help"], []])
def test_help_does_not_wait_for_torch(arguments: list[str]) -> None:
    program = "import sys, gandem.cli; gandem.cli.main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tran photos", 'Did you mean "train"?'),
        ("--hlep", "Available commands"),
        ("train photos --bugdet 5m", "Did you mean --budget?"),
        ("train", "SOURCE"),
        ("train photos more", "more: more than this command takes"),
        ("train photos game.gamma=10", "--set game.gamma=10"),
        ("train photos --game.gamma=10", "--set game.gamma="),
        ("train photos --seed many", "--seed"),
        ("train photos --fit cro", 'Did you mean "crop"?'),
        ("train photos --precision fp8", "fp32"),
        ("train photos --devices 0", "must be 1 or more"),
        ("train photos --set", "--set"),
        ("train photos --set gamma", "is not key=value"),
        ("train photos --size big", "HEIGHTxWIDTH"),
        ("train photos --size -64", "HEIGHTxWIDTH"),
        ("train photos --size 64x", "HEIGHTxWIDTH"),
        ("resume", "RUN"),
        ("sample run", "--out"),
        ("sample run --out x.png --where Bag", "label=3"),
        ("sample run --out x.png --count few", "--count"),
        ("sample run --out x.png --truncation high", "--truncation"),
        ("export run --out x.keras", ".onnx"),
        ("export run", "--out"),
    ],
)
def test_a_wrong_command_line_gets_one_line(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(line.split(), words, capsys)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--budget -5m", "budget '-5m'"),
        ("--budget 0", "budget '0'"),
        ("--budget soon", "10m, 2h"),
        ("--set game.gama=1", "game.gamma"),
        ("--set gamma=1", "game.gamma"),
        ("--set game.gamma=-1", "game.gamma"),
        ("--set game.gamma=.nan", "game.gamma"),
        ("--set game.gamma=[1", "YAML"),
        ("--set game.loss=magic", "relativistic"),
        ("--set game.penalty=r1r2", "Did you mean 'r1_r2'"),
        ("--set game.critic_steps=0", "game.critic_steps"),
        ("--set game.clip=-1", "game.clip"),
        ("--set game.penalty=r1_finite --set network.dropout=0.1", "penalty r1"),
        ("--set network.spectral_norm=true --set game.clip=0.01", "use one of them"),
        ("--set optimizer.options={'fused':true} --set optimizer.kind=optimistic_adam", "unknown to optimistic_adam"),
        ("--set network.minibatch_std=3 --set training.batch=64", "multiple of 12, not 64"),
        ("--set network.init=orthogonl", "Did you mean 'orthogonal'"),
        ("--set network.dropout=1", "network.dropout"),
        ("--set optimizer.kind=adamm", "Did you mean 'adam'"),
        ("--set optimizer.options={'momentun':.9} --set optimizer.kind=sgd", "Did you mean 'momentum'"),
        ("--set network.kind=magic", "residual"),
        ("--set network.width=1", "network.width"),
        ("--set training.batch=1", "training.batch"),
        ("--set data.channels=7", "data.channels"),
        ("--size 4", "data.size"),
        ("--size 4096", "data.size"),
        ("--seed -1", "training.seed"),
        ("--recipe defualt", "default"),
        ("--device tpu", "tpu"),
    ],
)
def test_a_wrong_choice_gets_one_line(
    options: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "pictures.npz"
    write_source(source)
    quick = {"--device": "cpu", "--budget": "64"}
    arguments = ["train", str(source), "--out", str(tmp_path / "run"), *options.split()]
    for option, value in quick.items():
        arguments += [] if option in options else [option, value]
    assert_refused(arguments, words, capsys)
    assert not (tmp_path / "run").exists()


def test_a_recipe_file_with_a_wrong_key_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, recipe = tmp_path / "pictures.npz", tmp_path / "mine.yaml"
    write_source(source)
    recipe.write_text("game: {gama: 1}\n")
    assert_refused(["train", str(source), "--recipe", str(recipe)], "mine.yaml", capsys)
    recipe.write_text("just words")
    assert_refused(["train", str(source), "--recipe", str(recipe)], "not a YAML recipe", capsys)


def test_a_missing_run_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, out in (("resume", []), ("sample", ["--out", "x.png"]), ("export", ["--out", "x.onnx"])):
        assert_refused([command, str(tmp_path / "nowhere"), *out], "nowhere", capsys)


def test_options_become_recipe_keys(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "train photos --out run --budget 1k --set game.gamma=1e-1 --set data.fit=crop --size 48x64 --fit pad "
        "--mirror --turn"
    )
    assert cli.main(line.split()) == 0
    (positional, named), *_ = calls
    assert positional == ("photos", Path("run"))
    data = {"data.fit": "pad", "data.size": (48, 64), "data.mirror": True, "data.turn": True}
    assert named["settings"] == {"game.gamma": 0.1} | data
    assert named["budget"] == "1k"
    assert named["seed"] is None


def test_json_prints_one_object_and_nothing_else(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "photos", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"images": 640}
    assert captured.err == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SourceError("photos holds no\nimages"), 2, "gandem: error: photos holds no images"),
        (Interrupted("SIGINT", 1280, "run"), 130, "gandem: stopped at 1,280 images; continue with: gandem resume run"),
        (Interrupted("SIGTERM", 1280, "run"), 143, "gandem: stopped at 1,280 images; continue with: gandem resume run"),
        (KeyboardInterrupt(), 130, "gandem: stopped"),
        (OSError(errno.ENOSPC, "No space", "run/x"), 2, "gandem: error: the disk is full at run/x"),
        (OSError(errno.EROFS, "Read-only", "run"), 2, "gandem: error: run lies on a read-only file system"),
        (OSError(errno.EACCES, "Denied", "run"), 2, "gandem: error: no permission for run"),
        (MemoryError(), 2, "gandem: error: the memory is full"),
        (ZeroDivisionError("oh"), 1, "gandem: error: ZeroDivisionError: oh; this is a bug in gandem"),
    ],
)
def test_every_end_has_its_exit_code_and_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training_that_raises(monkeypatch, error)
    assert cli.main(["train", "photos"]) == code
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(line)


def test_debugging_shows_where(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GANDEM_DEBUG", "1")
    training_that_raises(monkeypatch, ZeroDivisionError("oh"))
    assert cli.main(["train", "photos"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--devices", "2"], ["--devices=2"]])
def test_several_devices_become_processes(options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], int]] = []
    monkeypatch.setattr(launch, "launch", lambda arguments, processes: started.append((arguments, processes)) or 7)
    assert cli.main(["train", "photos", *options, "--out", "run"]) == 7
    assert started == [(["train", "photos", "--out", "run"], 2)]


def test_two_processes_train_one_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_source(tmp_path / "pictures.npz")
    line = f"train {tmp_path}/pictures.npz --out {tmp_path}/run --budget 64 --set training.batch=16 --devices 2 --json"
    assert cli.main(line.split()) == 0
    summary = json.loads(capfd.readouterr().out)
    assert summary["status"] == "finished" and summary["plan"]["processes"] == 2
    assert cli.main(line.split()) == 2  # the run exists: one line, as from one process
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "gandem resume" in said


def test_the_first_process_to_fail_says_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that waits for it and is killed, whose code is -9."""
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.1)
    waits, fails = (["-c", f"import sys, time; time.sleep({how})"] for how in ("60", "0); sys.exit(2"))
    children = [subprocess.Popen([sys.executable, *command]) for command in (waits, fails)]
    assert launch._wait(children) == 2 and children[0].returncode == -9
    assert launch._wait([subprocess.Popen([sys.executable, "-c", ""])]) == 0


def test_whichever_process_runs_out_of_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    training_that_raises(monkeypatch, MemoryError())
    assert cli.main(["train", "photos"]) == 2
    assert capsys.readouterr().err.startswith("gandem, process 1: error: the memory is full")


def test_only_the_first_process_speaks(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert cli.main(["train", "photos", "--devices", "2", "--json"]) == 0
    assert cli.main(["train", "photos", "--fit", "cro"]) == 2
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = tmp_path / "grid.png"
    grid.write_bytes(b"precious")
    assert_refused(["sample", "run", "--out", str(grid)], "--force", capsys)
    assert_refused(["sample", "run", "--out", str(tmp_path), "--force"], "holds something", capsys)
    model = grid.rename(tmp_path / "model.onnx")
    assert_refused(["export", "run", "--out", str(model)], "--force", capsys)
    assert model.read_bytes() == b"precious"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, made by the command."""
    folder = tmp_path_factory.mktemp("runs")
    write_source(folder / "pictures.npz")
    line = f"train {folder}/pictures.npz --out {folder}/run --budget 32 --device cpu --set training.batch=16 --quiet"
    assert cli.main(line.split()) == 0
    return folder / "run"


def test_inspect_describes_sources_and_runs(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", str(finished)]) == 0
    assert "status: finished" in capsys.readouterr().out
    assert cli.main(["inspect", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 32
    source = str(finished.parent / "pictures.npz")
    assert cli.main(["inspect", source]) == 0
    assert "64 images" in capsys.readouterr().out
    assert cli.main(["inspect", source, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 64


def test_a_finished_run_says_so_and_a_taken_folder_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["resume", str(finished)]) == 0
    assert "finished already, at 32 images" in capsys.readouterr().out
    assert_refused(["train", str(finished.parent / "pictures.npz"), "--out", str(finished)], "resume", capsys)
    assert_refused(["resume", str(finished), "--budget", "-5k"], "budget", capsys)
    assert_refused(["resume", str(finished), "--budget", "+5m"], "measured in images", capsys)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--where label=3", "without classes"),
        ("--where colour=red", "only label"),
        ("--count 0", "count"),
        ("--truncation 9", "truncation"),
        ("--truncation nan", "truncation"),
        ("--out x.bmp", "x.bmp"),
        ("--out x.gif --frames 0 --interpolate 2", "frames"),
        ("--out x.gif --interpolate 1", "interpolate"),
    ],
)
def test_a_wrong_wish_for_samples_gets_one_line(
    options: str, words: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in options else ["--out", "x.png"]
    assert_refused(["sample", str(finished), *out, *options.split()], words, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["new", "x.png", "x.npz", "x.gif"])
def test_samples_are_written_in_every_form(
    out: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = ["--interpolate", "2", "--frames", "3"] if out == "x.gif" else ["--count", "3"]
    assert cli.main(["sample", str(finished), "--out", str(tmp_path / out), *walk, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(tmp_path / out)
    assert (tmp_path / out).exists()


def test_export_writes_a_checked_file(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(finished), "--out", str(tmp_path / "x.onnx"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["max_difference"] <= 1e-4


def write_source(path: Path) -> None:
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 1), dtype=np.uint8)
    np.savez(path, images=images)


def assert_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, one line on stderr that holds the words, nothing on stdout of its own."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("gandem: error: ")
    assert words in line
