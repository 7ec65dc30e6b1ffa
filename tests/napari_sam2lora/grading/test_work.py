"""A grader's images, states, comments and time are kept, and the next image is suggested."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.grading import work as module
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.qt.dock_protocol import AcceptedPrediction
from sam2lora.errors import ImageError, OutputError
from sam2lora.grading import Doubt, GradingSession, SessionGrader

from .conftest import WAIT, mask_layer, paint, shape

pytestmark = pytest.mark.viewer


def test_masks_are_kept_from_image_to_image(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    paint(mask_layer(viewer, work.shown.path))
    work.go("eye2")
    assert not mask_layer(viewer, work.shown.path).data.any()
    work.go("eye1")
    assert mask_layer(viewer, work.shown.path).data.astype(bool).sum() == 4
    assert list(work.grader.corrections.masks("eye1", shape())) == ["disc"]


def test_looking_starts_nothing_and_painting_does(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    assert work.grade.state == "to do"
    paint(mask_layer(viewer, work.shown.path))
    assert work.grade.state == "started"
    assert work.row("eye1").state == "started"


def test_painting_in_what_is_done_takes_it_back(open_work: Callable, qtbot):
    viewer, work = open_work()
    work.go("eye1")
    paint(mask_layer(viewer, work.shown.path))
    work.set_state("done")
    assert work.grade.done
    with qtbot.waitSignal(work.reopened) as reopened:
        paint(mask_layer(viewer, work.shown.path), 2)
    assert reopened.args == ["eye1"]
    assert work.grade.state == "started"


def test_done_saves_masks_before_it_is_written(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    paint(mask_layer(viewer, work.shown.path))
    work.shown.corrections.refuse("The disk is full.")
    with pytest.raises(Exception, match="full"):
        work.set_state("done")
    assert work.grade.state == "started"
    assert mask_layer(viewer, work.shown.path).data.any()


def test_comment_and_quality_are_written_at_once(open_work: Callable, session: GradingSession):
    _, work = open_work()
    work.go("eye3")
    work.set_comment("dark")
    work.set_quality("partly")
    work.set_quality("partly")
    reader = SessionGrader(session, "anna", read_only=True)
    grade = reader.grade("eye3")
    assert (grade.comment, grade.quality, grade.state) == ("dark", "partly", "started")
    log = (session.folder / "graders/anna/log.jsonl").read_text()
    assert log.count('"quality"') == 2, "once as the kind, once as the value"


def test_next_image_is_in_order_or_most_doubtful(open_work: Callable):
    _, work = open_work()
    work.go("eye1")
    assert [one.stem for one in work.suggestions()] == ["eye2", "eye3"]
    work.note_confidence(str(work.session.path("eye3")), "disc", 0.4)
    work.note_confidence(str(work.session.path("eye2")), "disc", 0.9)
    work.note_confidence("/other/eye.png", "disc", 0.1)
    work.order.by = "doubt"
    first = work.suggestions()[0]
    assert first.stem == "eye3"
    assert "Lowest confidence: disc, 40%" in first.reason
    assert work.row("eye3").doubt == pytest.approx(0.6)
    assert work.next_image().key == str(work.session.path("eye3"))
    work.note_confidence(str(work.session.path("eye3")), "disc", None)
    assert work.suggestions()[0].stem == "eye2"


def test_largest_doubt_counts(open_work: Callable, make_napari_viewer, session: GradingSession):
    found = {"eye2": Doubt(0.4, "Both differ."), "eye3": Doubt(0.2, "A little.")}
    grader = SessionGrader(session, "anna")
    work = GraderWork(make_napari_viewer(), grader, doubts=found)
    work.order.by = "doubt"
    work.go("eye1")
    assert [one.reason for one in work.suggestions()] == ["Both differ.", "A little."]
    work.note_confidence(str(session.path("eye3")), "disc", 0.3)
    work.note_confidence(str(session.path("eye2")), "disc", 0.9)
    assert [one.stem for one in work.suggestions()] == ["eye3", "eye2"]
    assert work.row("eye2").why == "Both differ."
    work.close(save=False)


def test_what_predicted_a_mask_is_in_the_log(open_work: Callable):
    _, work = open_work()
    work.go("eye1")
    accepted = AcceptedPrediction(work.shown.path, "disc", "nano", "my-disc", "0" * 64, 0.8)
    work.note_accepted(accepted)
    work.note_accepted(AcceptedPrediction("/other.png", "cup", "nano", "", "", None))
    assert list(work.grade.predictions) == ["disc"]
    assert work.grade.predictions["disc"].adapter == "my-disc"
    assert work.row("eye1").doubt == pytest.approx(0.2), "known again in the next session"


def test_idle_time_is_not_counted(open_work: Callable, monkeypatch: pytest.MonkeyPatch):
    now = datetime(2030, 1, 1, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):  # type: ignore[no-untyped-def]
            return now

    monkeypatch.setattr(module, "datetime", Clock)
    _, work = open_work()
    work.go("eye1")
    for seconds in (40, 600, 30):
        now += timedelta(seconds=seconds)
        work.act()
    work.go("eye2")
    assert work.grader.grade("eye1").seconds == 70


def test_start_is_where_it_was_left(open_work: Callable):
    _, work = open_work()
    assert work.start == "eye1"
    work.go("eye2")
    work.close()
    _, later = open_work()
    assert later.start == "eye2"


def test_read_only_paints_nothing(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    paint(mask_layer(viewer, work.shown.path))
    work.go("eye2")
    second, reader = open_work(read_only=True)
    reader.go("eye1")
    layer = mask_layer(second, reader.shown.path)
    assert np.any(layer.data)
    assert not layer.editable
    assert reader.save() == []
    reader.act()
    layer.data = np.zeros_like(layer.data)  # as a prediction that is accepted
    reader.go("eye2")
    assert reader.stem == "eye2"
    reader.go("eye1")
    assert np.any(mask_layer(second, reader.shown.path).data)


def test_missing_image_leaves_the_one_before(open_work: Callable):
    _, work = open_work()
    work.go("eye1")
    work.session.path("eye2").unlink()
    with pytest.raises(ImageError, match="not there"):
        work.go("eye2")
    assert work.stem == "eye1"
    assert work.next_image() is None


@pytest.mark.parametrize("change", ["undo", "data"])
def test_every_change_of_a_mask_takes_done_back(open_work: Callable, qtbot: QtBot, change: str):
    viewer, work = open_work()
    work.go("eye1")
    layer = mask_layer(viewer, work.shown.path)
    paint(layer)
    work.set_state("done")
    assert work.grade.done
    if change == "undo":
        layer.undo()
    else:
        layer.data = np.ones_like(layer.data)
    with qtbot.waitSignal(work.reopened, timeout=WAIT):
        work.go("eye2")
    assert work.grader.grade("eye1").state == "started"


def test_a_full_disk_while_painting_is_reported(
    open_work: Callable, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
):
    viewer, work = open_work()
    work.go("eye1")

    def full(*_: object, **__: object) -> None:
        raise OutputError("No space left on device.")

    with monkeypatch.context() as patched:
        patched.setattr(work.grader, "write", full)
        with qtbot.waitSignal(work.failed, timeout=WAIT):
            paint(mask_layer(viewer, work.shown.path))


def test_others_who_are_done_are_listed(open_work: Callable, session: GradingSession):
    with SessionGrader(session, "ben") as ben:
        ben.set_state("eye2", "done")
    _, work = open_work()
    assert work.row("eye2").others == "ben"
    assert "Also done by ben" in work.row("eye2").tip
    assert work.row("eye1").others == ""
