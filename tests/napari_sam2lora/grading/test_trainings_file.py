"""What trainings in the background made is kept for each target, whole or not at all."""

from pathlib import Path

import pytest

from napari_sam2lora.grading.trainings_file import (
    FILE_NAME,
    TargetTrainings,
    Trainings,
    read_trainings,
    write_trainings,
)
from sam2lora.adapters.card import AdapterReference
from sam2lora.errors import SessionError

INITIAL = AdapterReference(name="nano-disc", digest="0" * 64)


def test_targets_are_written_one_after_another(tmp_path: Path):
    assert read_trainings(tmp_path) == Trainings()
    disc = TargetTrainings(initial=INITIAL, made=("a",), used=("a",), trained=("eye1",))
    write_trainings(tmp_path, "disc", disc)
    write_trainings(tmp_path, "cup", TargetTrainings())
    found = read_trainings(tmp_path)
    assert found.of("disc") == disc
    assert found.of("vessel") == TargetTrainings()
    assert set(found.targets) == {"disc", "cup"}


def test_undo_goes_back_one_by_one():
    trainings = TargetTrainings(initial=INITIAL, used=("a", "b"))
    assert trainings.before("b") == ("a", "nano-disc")
    assert trainings.before("a") == ("nano-disc",)
    assert trainings.before("other") == ()
    assert trainings.up_to("a").used == ("a",)
    assert trainings.up_to("nano-disc").used == ()


@pytest.mark.parametrize("content", ["{", '{"format": 2}', '{"targets": {"disc": {"used": 3}}}'])
def test_damaged_file_is_explained_and_replaced(tmp_path: Path, content: str):
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(SessionError, match=r"trainings\.json: cannot be read"):
        read_trainings(tmp_path)
    write_trainings(tmp_path, "disc", TargetTrainings(initial=INITIAL))
    assert read_trainings(tmp_path).of("disc").initial == INITIAL
