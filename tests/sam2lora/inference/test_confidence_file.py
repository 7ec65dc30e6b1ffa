"""The file beside predicted masks that says how sure each is."""

from pathlib import Path

import pytest

from sam2lora.errors import OutputError
from sam2lora.inference.confidence_file import (
    FILE_NAME,
    confidence_writer,
    read_confidences,
    update_confidences,
)


def test_confidences_are_read_as_they_were_written(tmp_path: Path) -> None:
    update_confidences(tmp_path, {"b.png": {"disc": 0.91234, "vessel": None}, "=a.png": {"cup": 1}})
    assert read_confidences(tmp_path) == {"=a.png": {"cup": 1.0}, "b.png": {"disc": 0.912}}
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert lines == ["image,target,confidence", "'=a.png,cup,1.000", "b.png,disc,0.912"]


def test_new_masks_replace_their_rows_alone(tmp_path: Path) -> None:
    update_confidences(tmp_path, {"a.png": {"disc": 0.2, "cup": 0.3}, "b.png": {"disc": 0.4}})
    update_confidences(tmp_path, {"a.png": {"disc": 0.8, "cup": None}})
    assert read_confidences(tmp_path) == {"a.png": {"disc": 0.8}, "b.png": {"disc": 0.4}}


def test_nothing_known_writes_no_file(tmp_path: Path) -> None:
    update_confidences(tmp_path, {"a.png": {"vessel": None}})
    assert not (tmp_path / FILE_NAME).exists()
    assert read_confidences(tmp_path) == {}


def test_damaged_rows_are_not_known(tmp_path: Path) -> None:
    text = "image,target,confidence\na.png,disc,much\nb.png,disc,7\nc.png,disc,0.5\n"
    (tmp_path / FILE_NAME).write_text(text)
    assert read_confidences(tmp_path) == {"c.png": {"disc": 0.5}}
    (tmp_path / FILE_NAME).write_text("image,disc\na.png,0.5\n")
    assert read_confidences(tmp_path) == {}


def test_full_disk_does_not_hide_what_stopped_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("the disk is full.")

    monkeypatch.setattr("sam2lora.inference.confidence_file.write_csv", full)

    def work(error: type[BaseException] | None) -> None:
        with confidence_writer(tmp_path) as writer:
            writer.add("a.png", {"disc": 0.5})
            if error:
                raise error

    with pytest.raises(KeyboardInterrupt):
        work(KeyboardInterrupt)
    with pytest.raises(OutputError):
        work(None)
