"""Prompts, their undo steps and previews come back from JSON."""

import json

import pytest

from napari_sam2lora.segmentation.unsaved_notes import bring_back, notes_of
from sam2lora.errors import SessionError

from ..segmentation_window import Window, fundus

pytestmark = pytest.mark.viewer


def test_prompts_and_previews_come_back(window: Window, open_window):
    assert notes_of(window.session, window.session.target_key[0]) == {}
    window.session.use("point")
    with window.wait_result():
        window.click(100, 90)
    with window.wait_result():
        window.click(60, 70)
    window.session.undo()
    window.idle()
    key = window.session.target_key
    values, image = window.values(), key[0]
    notes = json.loads(json.dumps(notes_of(window.session, image)))
    later = open_window(fundus())
    with later.wait_result():
        bring_back(later.session, image, notes)
    assert later.session.prompts.at(key).points == window.session.prompts.at(key).points
    assert (later.values() == values).all()
    later.session.redo()
    assert len(later.session.prompts.at(key).points) == 2
    later.idle()


def test_damaged_notes_are_refused(window: Window):
    image = window.session.target_key[0]
    bring_back(window.session, "an image that is not open", {"prompts": 3})
    with pytest.raises(SessionError, match="damaged"):
        bring_back(window.session, image, {"prompts": {"disc": {"steps": [{}], "current": 0}}})
    bring_back(window.session, image, {"prompts": {"moon": {}}, "previews": ["moon"]})
