"""What is noted in the metadata of layers, and what a layer's name says where nothing is."""

import pytest

from napari_sam2lora.layers.metadata import (
    image_id,
    plugin_metadata,
    target_in,
    with_plugin_metadata,
)
from sam2lora.errors import TargetError


@pytest.mark.parametrize(
    ("name", "expected"), [("vessel", "vessel"), ("my Disc", "disc"), ("eye 7 cup", "cup")]
)
def test_a_target_is_told_by_the_last_word_of_the_name(name: str, expected: str):
    assert target_in({}, name).name == expected


def test_what_the_plugin_noted_goes_before_the_name():
    assert target_in(with_plugin_metadata({}, target="disc"), "my cup").name == "disc"


@pytest.mark.parametrize("name", ["Labels", "vessels and more", "cells"])
def test_a_target_that_is_not_said_is_asked_for(name: str):
    with pytest.raises(TargetError, match=rf"^{name}: .*end in one of: vessel, disc, cup"):
        target_in({}, name)


def test_metadata_of_others_under_our_key_do_no_harm():
    assert target_in({"sam2lora": "theirs"}, "vessel").name == "vessel"


def test_an_image_goes_by_its_noted_key_else_its_file_else_its_name():
    metadata = {"theirs": 1}
    assert image_id(metadata, "eye") == "eye"
    metadata = with_plugin_metadata(metadata, path="/eyes/eye.png")
    assert image_id(metadata, "eye") == "/eyes/eye.png"
    metadata = with_plugin_metadata(metadata, key="eye 1")
    assert image_id(metadata, "eye") == "eye 1"
    assert metadata["theirs"] == 1
    assert plugin_metadata(metadata) == {"path": "/eyes/eye.png", "key": "eye 1"}
