"""A third person sees what all are done with, decides, and writes a consensus."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from pytestqt.qtbot import QtBot

from napari_sam2lora.grading.review_work import ReviewWork
from sam2lora.datasets import read_dataset
from sam2lora.errors import OutputError, SealedError, SessionError
from sam2lora.grading import GradingSession, SessionGrader

from ..conftest import disk
from .conftest import WAIT, mask_layer, paint

pytestmark = pytest.mark.viewer
PAIR = ("anna", "ben")


@pytest.fixture
def review(
    make_napari_viewer: Callable[[], Viewer], graded: GradingSession
) -> Iterator[Callable[[str], tuple[Viewer, ReviewWork]]]:
    """Return a function that opens a viewer in which somebody reviews."""
    opened: list[ReviewWork] = []

    def open_it(name: str) -> tuple[Viewer, ReviewWork]:
        viewer = make_napari_viewer()
        opened.append(ReviewWork(viewer, graded, name))
        return viewer, opened[-1]

    yield open_it
    for work in opened:
        work.close(save=False)


def test_graders_are_compared_and_reported(review: Callable, qtbot: QtBot, tmp_path: Path):
    _, work = review("cleo")
    assert work.graders == PAIR
    with qtbot.waitSignal(work.compared, timeout=WAIT) as compared:
        work.compare(*PAIR)
    (agreement,) = compared.args
    assert {(one.stem, one.target) for one in agreement.masks} == {
        ("eye1", "disc"),
        ("eye1", "cup"),
        ("eye2", "disc"),
    }
    work.write_report(tmp_path / "agreement")
    assert (tmp_path / "agreement/agreement.md").is_file()
    with pytest.raises(OutputError, match="lies in the session"):
        work.write_report(work.session.folder / "agreement")
    with qtbot.waitSignal(work.failed, timeout=WAIT) as failed:
        work.compare("anna", "anna")
    assert "cannot be compared with anna" in failed.args[0]


def test_what_is_sealed_is_not_shown(review: Callable, graded: GradingSession):
    viewer, work = review("cleo")
    with pytest.raises(SealedError):
        work.show("eye3", "disc", PAIR)
    assert len(viewer.layers) == 0
    work.show("eye1", "disc", PAIR)
    with SessionGrader(graded, "ben") as ben:
        ben.set_state("eye1", "started")
    with pytest.raises(SealedError):
        work.show("eye1", "cup", PAIR)


def test_masks_are_taken_painted_and_written(review: Callable, qtbot: QtBot, tmp_path: Path):
    viewer, work = review("cleo")
    work.show("eye1", "disc", PAIR)
    names = [layer.name for layer in viewer.layers]
    assert names == ["eye1", "eye1 disc differs", "eye1 disc by anna", "eye1 disc by ben"]
    work.choose("ben")
    work.show("eye1", "cup", PAIR)
    work.choose("anna")
    work.choose(None)
    assert work.choices == {"disc": "ben"}
    work.show("eye2", "disc", PAIR)
    work.start_painting("anna")
    layer = mask_layer(viewer, work.shown.path)
    np.testing.assert_array_equal(layer.data > 0, disk(13))
    paint(layer)
    work.choose("painted")
    with qtbot.waitSignal(work.written, timeout=WAIT) as written:
        work.write_consensus(tmp_path / "consensus", otherwise=None)
    assert "1 by ben, 1 by painted" in written.args[0]
    assert "Undecided: eye1 (cup)" in written.args[0]
    assert "Not all are done with: eye3" in written.args[0]
    records = {one.stem: one for one in read_dataset(tmp_path / "consensus", target="disc").records}
    np.testing.assert_array_equal(records["eye1"].read_mask("disc"), disk(9))
    assert records["eye2"].read_mask("disc")[0, :4].all()


def test_a_grader_looks_and_decides_nothing(review: Callable):
    viewer, work = review("anna")
    assert work.adjudicator is None
    work.show("eye1", "disc", PAIR)
    assert not mask_layer(viewer, work.shown.path).visible
    work.choose("ben")
    work.start_painting("ben")
    assert work.choices == {}
    assert work.find_unsaved() is None


def test_what_was_painted_and_not_saved_comes_back(review: Callable, qtbot: QtBot):
    viewer, work = review("cleo")
    work.show("eye2", "disc", PAIR)
    work.start_painting("ben")
    paint(mask_layer(viewer, work.shown.path))
    file = work._person.recovery.path
    qtbot.waitUntil(file.exists, timeout=WAIT)
    work.close(save=False)
    second, later = review("cleo")
    later.bring_back(*later.find_unsaved())
    assert mask_layer(second, later.shown.path).data[0, :4].all()
    with pytest.raises(SessionError):
        later.choose("staple of the ship")


def test_nothing_painted_cannot_be_taken(review: Callable):
    _, work = review("cleo")
    work.show("eye2", "disc", PAIR)
    with pytest.raises(SessionError, match="no disc painted"):
        work.choose("painted")
