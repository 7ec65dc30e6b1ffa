"""What a grader is done with is trained on, unless nothing can be learned from it, or may be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2lora.grading.finished_images import finished_images
from napari_sam2lora.grading.work import GraderWork
from sam2lora.grading import GradingSession, SessionGrader, list_sources

from ..conftest import disk

pytestmark = pytest.mark.viewer


def finish(work: GraderWork, *stems: str) -> None:
    """Set images to done, each with a disc."""
    for stem in stems:
        work.grader.corrections.save(stem, work.session.path(stem), {"disc": disk(12)})
        work.grader.set_state(stem, "done")


def test_only_what_is_done_and_drawn_is_listed(open_work: Callable):
    _, work = open_work()
    finish(work, "eye1", "eye2", "eye3")
    work.grader.set_state("eye1", "flagged", reason="two discs")
    work.session.path("eye3").unlink()
    found = finished_images(work, "disc")
    assert [pair.name for pair in found.pairs] == ["eye2"]
    assert found.left_out() == ""
    assert list(finished_images(work, "cup").pairs) == []


def test_masks_that_are_as_predicted_are_left_out(open_work: Callable):
    _, work = open_work()
    finish(work, "eye1", "eye2")
    work.grader.corrections.set_as_predicted("eye1", {"disc": True})
    found = finished_images(work, "disc")
    assert ([pair.name for pair in found.pairs], found.as_predicted) == (["eye2"], 1)
    assert found.left_out() == (
        "Left out: 1 with the mask as predicted (there is nothing to learn from)."
    )


@pytest.mark.parametrize("as_table", [False, True])
def test_test_half_of_a_public_dataset_is_left_out(
    make_napari_viewer: Callable, drive: Path, tmp_path: Path, as_table: bool
):
    tifffile.imwrite(drive / "training/images/21_training.tif", np.full((96, 90, 3), 90, np.uint8))
    given = drive
    if as_table:
        given = tmp_path / "images.csv"
        images = ("test/images/01_test.tif", "training/images/21_training.tif")
        given.write_text("image\n" + "".join(f"{drive / one}\n" for one in images))
    session = GradingSession.create(tmp_path / "trial", list_sources([given]))
    with SessionGrader(GradingSession.open(session.folder), "anna") as grader:
        work = GraderWork(make_napari_viewer(), grader)
        finish(work, "01_test", "21_training")
        found = finished_images(work, "disc")
        assert [pair.name for pair in found.pairs] == ["21_training"]
        named = "a public dataset" if as_table else "DRIVE"
        assert found.left_out() == (
            f"Left out: 1 in the test half of {named} (scores on that half would be invalid)."
        )
        work.close(save=False)
