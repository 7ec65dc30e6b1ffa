"""The page on the use from Python is run from top to bottom, as a reader would type it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.runs import best_adapter
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def blocks(page: str) -> list[str]:
    """Return the Python code blocks of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write what the page names, and go there: an image, a folder of images, a data set."""
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


def test_blocks_are_found() -> None:
    assert blocks("a\n```python\nx = 1\n```\nb\n```sh\nls\n```\n```python\ny = 2\n```\n") == [
        "x = 1\n",
        "y = 2\n",
    ]


@pytest.mark.shipped
@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(
    files: Path, one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = blocks(PAGE.read_text(encoding="utf-8"))
    assert len(code) >= 9
    known: dict[str, object] = {}
    for number, block in enumerate(code):
        exec(compile(block, f"block {number} of {PAGE.name}", "exec"), known)
    written = {path.name for path in (files / "masks").iterdir()}
    masks = {f"{eye}_{name}.png" for eye in ("first", "second") for name in ("disc", "cup")}
    assert written == masks | {"confidence.csv"}
    assert best_adapter(files / "runs" / "discs")
    said = capsys.readouterr().out
    assert "2 finished" in said
    assert "sam2lora predict photos --target disc" in said
