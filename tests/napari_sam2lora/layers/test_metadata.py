"""The plugin's entries in the metadata of layers, and names as a fallback."""

import numpy as np
import pytest
from napari.layers import Image

from napari_sam2lora.layers.metadata import (
    ensure_image_id,
    image_id,
    plugin_metadata,
    target_in,
    with_plugin_metadata,
)
from sam2lora.errors import TargetError

from ..conftest import eye


@pytest.mark.parametrize(
    ("name", "expected"), [("vessel", "vessel"), ("my Disc", "disc"), ("eye 7 cup", "cup")]
)
def test_last_word_of_the_name_is_the_target(name: str, expected: str):
    assert target_in({}, name).name == expected


def test_target_in_metadata_takes_precedence_over_the_name():
    assert target_in(with_plugin_metadata({}, target="disc"), "my cup").name == "disc"


@pytest.mark.parametrize("name", ["Labels", "vessels and more", "cells"])
def test_unknown_target_is_an_error_with_the_known_ones(name: str):
    with pytest.raises(TargetError, match=rf"^{name}: .*end in one of: vessel, disc, cup"):
        target_in({}, name)


def test_foreign_metadata_under_the_plugin_key_are_ignored():
    assert plugin_metadata({"sam2lora": "theirs"}) == {}
    assert target_in({"sam2lora": "theirs"}, "vessel").name == "vessel"


def test_adding_entries_keeps_the_others_and_copies():
    before = {"theirs": 1, "sam2lora": {"image": "eye", "target": "disc"}}
    after = with_plugin_metadata(before, target="cup", saved=7)
    assert after == {"theirs": 1, "sam2lora": {"image": "eye", "target": "cup", "saved": 7}}
    assert before["sam2lora"] == {"image": "eye", "target": "disc"}


def test_image_id_is_the_stored_key_else_the_path_else_the_name():
    metadata = {"theirs": 1}
    assert image_id(metadata, "eye") == "eye"
    metadata = with_plugin_metadata(metadata, path="/eyes/eye.png")
    assert image_id(metadata, "eye") == "/eyes/eye.png"
    metadata = with_plugin_metadata(metadata, key="eye 1")
    assert image_id(metadata, "eye") == "eye 1"


def test_ensured_image_id_survives_renaming():
    (image,) = eye(name="eye")
    assert ensure_image_id(image) == "eye"
    image.name = "other"
    assert ensure_image_id(image) == "eye"
    assert plugin_metadata(image.metadata)["fov"]  # the other entries are kept


def test_image_with_a_file_needs_no_stored_key():
    image = Image(np.zeros((4, 4)), metadata={"sam2lora": {"path": "/eyes/eye.png"}})
    assert ensure_image_id(image) == "/eyes/eye.png"
    assert "key" not in plugin_metadata(image.metadata)
