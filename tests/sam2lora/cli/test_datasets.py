"""`sam2lora datasets`: output and exit codes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.cli import main
from sam2lora.datasets import DATASETS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a plain folder with one valid image and mask."""
    for sub, pixels in (("images", np.full((8, 12, 3), 90)), ("masks/disc", np.eye(8, 12) * 255)):
        (tmp_path / sub).mkdir(parents=True)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / sub / "a[1].png")
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str
) -> tuple[int | str | None, str, str]:
    """Run the command line: exit code, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["sam2lora", *args])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    return left.value.code, out, err


def test_list_shows_every_layout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "datasets", "list")
    assert code == 0
    assert all(f"{name}  " in out for name in DATASETS)
    assert "disc: images" not in out
    assert "masks/{id}_{target}.*" in out


def test_check_of_a_valid_dataset_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code, out, err = run(monkeypatch, capsys, "datasets", "check", str(folder))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{folder.name} (layout folder) in {folder}",
        "1 images of 1 patients",
        "disc\t-\t1",
        "No problems.",
    ]


def test_check_lists_files_with_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "masks" / "disc" / "lone.png").touch()
    code, out, _ = run(monkeypatch, capsys, "datasets", "check", str(folder))
    assert code == 1
    lone = Path("masks", "disc", "lone.png")
    assert out.splitlines()[-2:] == [
        "Problems: 1",
        f"{lone}\tis a mask that no image uses",
    ]


def test_check_on_a_terminal_shows_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    (folder / "masks" / "disc" / "a[1].png").write_bytes(b"")
    code, out, _ = run(monkeypatch, capsys, "datasets", "check", str(folder))
    assert code == 1
    assert "│ masks/disc/a[1].png │" in out.replace("\\", "/")
    assert "images with a mask" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["empty"], "no dataset was recognised"),
        (["missing"], "no such folder"),
        (["empty", "--layout", "nothing"], "No layout is called 'nothing'"),
        (["."], "No target"),
    ],
)
def test_folder_without_dataset_is_one_message_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    args: list[str],
    message: str,
) -> None:
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    if args == ["."]:
        args = [".", "--target", "iris"]
    code, out, err = run(monkeypatch, capsys, "datasets", "check", *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err


def test_synthesized_dataset_passes_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    args = ("datasets", "synthesize", str(tmp_path), "--count", "2", "--size", "96")
    code, out, err = run(monkeypatch, capsys, *args)
    assert (code, err) == (0, "")
    assert out == f"2 images: {tmp_path / 'images'}\n"
    assert run(monkeypatch, capsys, "datasets", "check", str(tmp_path))[0] == 0
