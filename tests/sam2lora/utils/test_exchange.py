import os
from pathlib import Path

import pytest

from sam2lora.utils.exchange import exchange


def test_folders_are_exchanged_or_left(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "name.txt").write_text(folder.name)
    done = exchange(first, second)
    read = [(folder / "name.txt").read_text() for folder in (first, second)]
    assert read == (["b", "a"] if done else ["a", "b"])


@pytest.mark.skipif(os.name == "nt", reason="Windows exchanges no folders")
def test_missing_folder_is_not_exchanged(tmp_path: Path) -> None:
    assert not exchange(tmp_path, tmp_path / "missing")
    assert tmp_path.exists()
