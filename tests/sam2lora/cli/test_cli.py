"""The command as a user runs it: start, errors, warnings and interruption."""

import json
import os
import signal
import struct
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from sam2lora import __version__

SCRIPT = Path(sysconfig.get_path("scripts")) / ("sam2lora.exe" if os.name == "nt" else "sam2lora")
MODULE = (sys.executable, "-m", "sam2lora")

LOADED = """
import json, sys
from sam2lora.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def start(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("command", [(SCRIPT,), MODULE], ids=["script", "module"])
def test_script_and_module_show_the_version(command: tuple[object, ...]) -> None:
    shown = start(*command, "--version")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"sam2lora {__version__}\n", "")


@pytest.mark.parametrize(
    "args", [("--help",), ("predict", "--help"), ("models", "list")], ids=" ".join
)
def test_commands_without_network_start_without_torch(args: tuple[str, ...]) -> None:
    shown = start(sys.executable, "-c", LOADED, *args)
    assert shown.returncode == 0
    assert shown.stdout.strip()
    modules = set(json.loads(shown.stderr.splitlines()[-1]))
    assert "sam2lora.cli.predict" in modules
    assert not modules & {"torch", "torchvision", "sam2", "peft", "matplotlib", "skimage"}


def test_error_is_one_line_and_debug_shows_its_traceback(tmp_path: Path) -> None:
    plain = start(*MODULE, "datasets", "check", tmp_path / "missing")
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr == f"error: {tmp_path / 'missing'}: there is no such folder.\n"
    debug = start(*MODULE, "--debug", "datasets", "check", tmp_path / "missing")
    assert debug.returncode != 0
    assert "Traceback (most recent call last)" in debug.stderr
    assert debug.stderr.splitlines()[-1].startswith("sam2lora.errors.DatasetError")


@pytest.mark.skipif(os.name == "nt", reason="Windows calls such a path missing")
@pytest.mark.parametrize(
    "args",
    [["datasets", "check"], ["adapters", "import"], ["train"], ["train", "run", "--start-from"]],
)
def test_path_that_is_too_long_is_told_in_a_line(run_cli, args: list[str]) -> None:
    ran = run_cli(*args, "x" * 5000)
    assert ran.code == 2
    assert "longer than a path may be" in ran.err
    assert len(ran.err) < 300


def test_names_that_the_terminal_cannot_encode_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "眼底" / "images"
    masks = folder.parent / "masks" / "disc"
    for place in (folder, masks):
        place.mkdir(parents=True)
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(place / "a.png")
    shown = start(*MODULE, "datasets", "check", folder.parent, PYTHONIOENCODING="latin-1")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\u773c\\u5e95" in shown.stdout


@pytest.mark.parametrize("args", [[], ["fly"], ["predict"], ["predict", "a.png", "--fast"]])
def test_wrong_arguments_show_usage_and_exit_code_2(run_cli, args: list[str]) -> None:
    ran = run_cli(*args)
    assert ran.code == 2
    assert "Usage: sam2lora" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_warnings_of_libraries_are_not_printed(tmp_path: Path) -> None:
    """Pillow would print its own warning of an image this large."""
    Image.new("1", (9600, 9600)).save(tmp_path / "large.png")
    out = tmp_path / "out"
    shown = start(*MODULE, "predict", tmp_path / "large.png", "--target", "disc", "--out", out)
    assert (shown.returncode, shown.stdout) == (2, "")
    (message,) = shown.stderr.splitlines()
    assert message.startswith(f"error: {tmp_path / 'large.png'}: 9600 × 9600 pixels are more than")
    assert list(out.iterdir()) == []


def test_log_of_decoders_is_not_printed(tmp_path: Path) -> None:
    """Tifffile would log each tag that it cannot read."""
    for place in ("images", "masks/disc"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(tmp_path / place / "a.tif")
    image = tmp_path / "images" / "a.tif"
    software = struct.pack("<HH", 305, 2)  # a tag and its type
    tifffile.imwrite(image, np.eye(32, dtype=np.uint8) * 255, software="a program")
    image.write_bytes(image.read_bytes().replace(software, struct.pack("<HH", 305, 132)))
    shown = start(*MODULE, "datasets", "check", tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal for Ctrl-C to one process")
def test_ctrl_c_stops_at_once_and_leaves_complete_files(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    pictures, out = tmp_path / "in", tmp_path / "out"
    pictures.mkdir()
    Image.fromarray(photo).save(pictures / "000.png")
    for number in range(1, 200):
        os.link(pictures / "000.png", pictures / f"{number:03}.png")
    process = subprocess.Popen(
        [*MODULE, "predict", pictures, "--target", "disc", "--out", out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("0*_disc.png")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    made = [path for path in out.iterdir() if path.name != "confidence.csv"]
    assert 1 <= len(made) < 200
    assert all(path.name.endswith("_disc.png") and path.name[0] != "." for path in made)
    for path in made:
        assert np.asarray(Image.open(path)).shape == (160, 160)
