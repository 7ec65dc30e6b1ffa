"""What a file of another version or of another image has is left out."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from napari_sam2lora.grading.autosave import COMMENT, POINTS
from napari_sam2lora.grading.recovering import bring_back, comment_of
from napari_sam2lora.layers.points import read_point
from sam2lora.grading import Recovery

pytestmark = pytest.mark.viewer


def recovery(arrays: dict | None = None, **notes: object) -> Recovery:
    return Recovery("eye1", datetime.now(UTC), notes, arrays or {})


def test_masks_that_do_not_fit_are_named(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    found = recovery({"disc.now": np.zeros((3, 3), np.uint8), "moon.now": np.zeros((3, 3))})
    assert sorted(bring_back(viewer, work.shown, found)) == ["disc", "moon"]


def test_points_come_back(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    place = {"x": 40.0, "y": 50.0, "confidence": 1.0, "accepted": True}
    bring_back(viewer, work.shown, recovery(**{POINTS: {"fovea": place}}))
    (layer,) = work.shown.point_layers()
    assert (read_point(layer).x, read_point(layer).y) == (40, 50)
    bring_back(viewer, work.shown, recovery(**{POINTS: {"fovea": None}}))
    assert read_point(layer) is None


def test_only_a_text_is_a_comment():
    assert comment_of(recovery(**{COMMENT: "blurred"})) == "blurred"
    assert comment_of(recovery(**{COMMENT: 3})) is None
    assert comment_of(recovery()) is None
