"""Layers, corrections and runs of the version before are understood by today's plugin."""

import json
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_sam2lora._reader import read
from napari_sam2lora.layers.lookup import image_of_labels, linked_layers, masks_of_image
from napari_sam2lora.layers.metadata import image_id, plugin_metadata, target_in
from napari_sam2lora.layers.prompt_conversion import prompt_tool, target_key
from napari_sam2lora.training.run.history import RunHistory
from sam2lora.runs import read_events

SHAPES = {"image": (96, 96, 3), "labels": (96, 96), "points": (0, 2), "shapes": (0, 2, 2)}


@pytest.fixture
def saved(version_before: Path) -> ViewerModel:
    """Return a viewer with layers that have the metadata of those of the version before."""
    viewer = ViewerModel()
    for layer in json.loads((version_before / "layers.json").read_text(encoding="utf-8")):
        kind = layer.pop("type")
        rgb = {"rgb": True} if kind == "image" else {}
        viewer.add_layer(Layer.create(np.zeros(SHAPES[kind], np.uint8), {**layer, **rgb}, kind))
    return viewer


def images_in(viewer: ViewerModel) -> list[Image]:
    return [layer for layer in viewer.layers if isinstance(layer, Image)]


def masks_in(viewer: ViewerModel) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def test_saved_masks_are_recognised_by_their_metadata(saved: ViewerModel):
    for mask in masks_in(saved):
        mask.name = "something else"  # so that nothing but the metadata says it
    eye, camera = images_in(saved)
    eye.name, camera.name = "renamed", "renamed too"
    owners = [image_of_labels(mask, [eye, camera]) for mask in masks_in(saved)]
    assert [owner.image for owner in owners] == [eye, eye, eye, camera]
    assert all(owner.certain for owner in owners)
    targets = [target_in(mask.metadata, mask.name).name for mask in masks_in(saved)]
    assert targets == ["disc", "drusen", "cup", "disc"]
    assert masks_of_image(saved, eye) == masks_in(saved)[:3]


def test_saved_prompts_are_recognised_by_their_metadata(saved: ViewerModel):
    eye = images_in(saved)[0]
    points, boxes = saved.layers[-2:]
    assert (prompt_tool(points), prompt_tool(boxes)) == ("point", "box")
    assert target_key(points) == target_key(boxes) == (image_id(eye.metadata, eye.name), "cup")
    assert len(linked_layers(saved.layers, image_id(eye.metadata, eye.name))) == 5


@pytest.mark.parametrize("missing", ["image", "target"])
def test_mask_without_a_key_is_not_recognised(saved: ViewerModel, missing: str):
    mask = masks_in(saved)[0]
    del mask.metadata["sam2lora"][missing]
    mask.name = "something else"
    assert mask not in masks_of_image(saved, images_in(saved)[0])


def test_folder_is_opened_with_its_corrections_and_the_same_metadata(
    version_before: Path, saved: ViewerModel
):
    before = {layer.name: plugin_metadata(layer.metadata) for layer in saved.layers}
    image, *masks = read(version_before / "images")
    assert [mask[1]["name"] for mask in masks] == ["eye0 disc", "eye0 drusen"]
    for mask in masks:
        assert mask[1]["metadata"]["sam2lora"] == before[mask[1]["name"]]
    about, known = image[1]["metadata"]["sam2lora"], before["eye0"]
    assert about.pop("fov")["diameter"] == pytest.approx(known["fov"]["diameter"], abs=0.5)
    assert about == {key: value for key, value in known.items() if key != "fov"}


def test_run_has_the_curves_it_had(version_before: Path):
    history = RunHistory(read_events(version_before / "run" / "events.jsonl")[0])
    assert history.started is not None
    assert history.started.target == "disc"
    steps, losses = history.losses()["loss"]
    assert steps == [1, 2]
    assert min(losses) > 0
    assert {"bce", "soft_dice", "focal_tversky", "iou"} < history.losses().keys()
    assert history.dice()[0] == [2]
    assert history.checkpoint is not None
