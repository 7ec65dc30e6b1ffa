"""The next image is that of the list, or the one about whose predictions there is most doubt."""

import pytest

from napari_sam2lora.grading.image_order import ImageOrder
from sam2lora.grading import Doubt, GradingSession, SessionGrader


def stems(order: ImageOrder, current: str | None = None) -> list[str]:
    return [one.stem for one in order.suggestions(current)]


def test_images_come_in_the_order_of_the_list_or_of_doubt(session: GradingSession):
    with SessionGrader(session, "anna") as grader:
        order = ImageOrder(grader, {"eye3": Doubt(0.5, "Both differ.")})
        assert stems(order, "eye2") == ["eye3", "eye1"]
        order.by = "doubt"
        assert stems(order) == ["eye3", "eye1", "eye2"]
        assert order.note_confidence(str(session.path("eye2")), "disc", 0.1) == "eye2"
        assert stems(order) == ["eye2", "eye3", "eye1"]
        assert order.doubt("eye2").value == pytest.approx(0.9)
        order.note_confidence(str(session.path("eye2")), "disc", None)
        assert order.doubt("eye2") is None
        assert order.note_confidence("/other/eye.png", "disc", 0.1) is None
        grader.set_state("eye3", "done")
        assert stems(order) == ["eye1", "eye2"]
