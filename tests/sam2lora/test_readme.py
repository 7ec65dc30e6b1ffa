"""The commands and the Python of the README run, as a reader would type them."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.synthetic import SyntheticSettings, draw_fundus

README = Path(__file__).resolve().parents[2] / "README.md"

SHORTER = {"train": ["--steps", "2", "--set", "validation.every=2"]}
"""Options that make a command quick enough for a test."""


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language, in order."""
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write what the README names, and go there: an image, a folder of images, a dataset."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "eyes/images", "eyes/masks/disc"):
        Path(folder).mkdir(parents=True)
    drawn = draw_fundus(3, SyntheticSettings(size=512))
    for path in ("eye.jpg", "photos/first.jpg", "photos/second.jpg"):
        Image.fromarray(drawn.image).save(path)
    for seed in (3, 4):
        eye = draw_fundus(seed, SyntheticSettings(size=256))
        Image.fromarray(eye.image).save(f"eyes/images/{seed}.png")
        mask = eye.masks["disc"].astype(np.uint8) * 255
        Image.fromarray(mask).save(f"eyes/masks/disc/{seed}.png")
    return tmp_path


@pytest.mark.shipped
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_run(run_cli, files: Path, one_thread: None) -> None:
    lines = [line for line in "".join(blocks("sh")).splitlines() if line.startswith("sam2lora ")]
    assert len(lines) >= 7
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        ran = run_cli(*arguments, *SHORTER.get(arguments[0], []))
        assert ran.code == 0, f"{line}\n{ran.out}\n{ran.err}"
    made = ("result", "masks", "corrected", "runs/disc/adapters", "report/report.md", "table.csv")
    assert [path for path in made if not (files / path).exists()] == []


@pytest.mark.shipped
def test_python_runs(files: Path, one_thread: None) -> None:
    known: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, README.name, "exec"), known)
    assert set(known["found"]) == {"vessel", "disc", "cup"}
