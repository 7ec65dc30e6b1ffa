"""The page on the use from Python is run from top to bottom, as a reader would type it."""

from pathlib import Path

import pytest

from sam2lora.runs import best_adapter

from .pages import code_blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def test_blocks_are_found() -> None:
    assert code_blocks(
        "a\n```python\nx = 1\n```\nb\n```sh\nls\n```\n```python\ny = 2\n```\n", "python"
    ) == [
        "x = 1\n",
        "y = 2\n",
    ]


@pytest.mark.shipped
@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(
    files_of_pages: Path, one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = code_blocks(PAGE.read_text(encoding="utf-8"), "python")
    assert len(code) >= 9
    known: dict[str, object] = {}
    for number, block in enumerate(code):
        exec(compile(block, f"block {number} of {PAGE.name}", "exec"), known)
    written = {path.name for path in (files_of_pages / "masks").iterdir()}
    masks = {f"{eye}_{name}.png" for eye in ("first", "second") for name in ("disc", "cup")}
    assert written == masks | {"confidence.csv"}
    assert best_adapter(files_of_pages / "runs" / "discs")
    said = capsys.readouterr().out
    assert "2 finished" in said
    assert "sam2lora predict photos --target disc" in said
