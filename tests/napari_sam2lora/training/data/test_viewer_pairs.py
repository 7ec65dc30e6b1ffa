"""Pairs of images and masks in the viewer."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.data import viewer_pairs
from napari_sam2lora.training.data.viewer_pairs import pairs_in_viewer

from ..conftest import SHAPE, add_eye, labels_layer


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the Labels layers whose masks were read, in order."""
    names: list[str] = []
    mask_of = viewer_pairs.mask_of

    def counted(layer: tuple) -> np.ndarray:
        names.append(layer[1]["name"])
        return mask_of(layer)

    monkeypatch.setattr(viewer_pairs, "mask_of", counted)
    return names


def test_layers_are_paired_by_metadata(viewer: ViewerModel) -> None:
    for name in ("a", "b"):
        add_eye(viewer, name, "disc", "vessel")
    pairs = pairs_in_viewer(viewer, "disc")
    assert [(pair.name, pair.labels, pair.preselected) for pair in pairs] == [
        ("a", "a disc", True),
        ("b", "b disc", True),
    ]
    assert [pair.layer.name for pair in pairs_in_viewer(viewer, "vessel")] == [
        "a vessel",
        "b vessel",
    ]


def test_foreign_layers_are_paired_by_name_and_size(viewer: ViewerModel) -> None:
    add_eye(viewer, "a")
    add_eye(viewer, "ab")
    for name in ("a disc", "ab my disc"):
        viewer.add_layer(labels_layer(name))
    assert [(pair.name, pair.labels) for pair in pairs_in_viewer(viewer, "disc")] == [
        ("a", "a disc"),
        ("ab", "ab my disc"),
    ]


@pytest.mark.parametrize(
    ("change", "message", "blocking"),
    [
        (lambda layer: layer.data.fill(0), "mask is empty", False),
        (lambda layer: layer.data.fill(2), "covers 100% of the image: inverted", False),
        (lambda layer: setattr(layer, "data", layer.data[:50]), "labels are 64 × 50", True),
        (lambda layer: setattr(layer, "data", np.stack([layer.data] * 3)), "stack", True),
        (
            lambda layer: layer.metadata["sam2lora"].update(view="preview"),
            "preview of a prediction",
            True,
        ),
    ],
    ids=["empty", "full", "another size", "stack", "preview"],
)
def test_unsuitable_mask_has_an_issue(
    viewer: ViewerModel, change, message: str, blocking: bool
) -> None:
    _, layer = add_eye(viewer, "a", "disc")
    change(layer)
    (pair,) = pairs_in_viewer(viewer, "disc")
    assert message in pair.issue.message
    assert (pair.usable, pair.preselected) == (not blocking, False)


def test_image_without_labels_of_the_target_is_listed_with_the_reason(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "vessel")
    (pair,) = pairs_in_viewer(viewer, "disc")
    assert "labels of vessel, but not of disc" in pair.issue.message
    assert not pair.usable
    viewer.layers.remove("a vessel")
    assert "Name a Labels layer “a disc”" in pairs_in_viewer(viewer, "disc")[0].issue.message


def test_two_layers_of_one_target_are_not_preselected(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "disc")
    viewer.add_layer(labels_layer("a other disc"))
    pairs = pairs_in_viewer(viewer, "disc")
    assert [pair.preselected for pair in pairs] == [False, False]
    assert all("Several layers" in pair.issue.message for pair in pairs)


def test_mask_named_after_a_closed_image_is_not_paired_with_another(
    viewer: ViewerModel, folder: Path
) -> None:
    images = ImageList(viewer, folder)
    images.go(0)
    viewer.add_layer(labels_layer("anna_left vessel"))
    (pair,) = pairs_in_viewer(viewer, "vessel")
    assert (pair.labels, pair.preselected) == ("anna_left vessel", True)
    images.go(1)
    (pair,) = pairs_in_viewer(viewer, "vessel")
    assert (pair.name, pair.layer, pair.preselected) == ("anna_right", None, False)
    viewer.layers["anna_left vessel"].name = "vessel"
    (pair,) = pairs_in_viewer(viewer, "vessel")
    assert (pair.labels, pair.preselected) == ("vessel", False)
    assert pair.issue.message == "Only the size of the labels matches this image."


def test_layer_is_not_paired_by_a_part_of_a_word(viewer: ViewerModel) -> None:
    for name in ("1", "2"):
        add_eye(viewer, name)
    viewer.add_layer(labels_layer("11 disc"))
    assert [pair.layer for pair in pairs_in_viewer(viewer, "disc")] == [None, None]
    viewer.add_layer(labels_layer("1_disc"))
    assert [pair.labels for pair in pairs_in_viewer(viewer, "vessel")] == ["none", "none"]
    viewer.layers["1_disc"].name = "1 - disc"
    assert [pair.labels for pair in pairs_in_viewer(viewer, "disc")] == ["1 - disc", "none"]


def test_image_that_is_open_twice_has_its_labels_once(viewer: ViewerModel, folder: Path) -> None:
    path = folder / "images/ben_left.png"
    add_eye(viewer, "a", "disc", path=path)
    add_eye(viewer, "b", path=path)
    assert [pair.labels for pair in pairs_in_viewer(viewer, "disc")] == ["a disc", "none"]


def test_painted_mask_is_changed_and_a_foreign_one_always(viewer: ViewerModel) -> None:
    _, layer = add_eye(viewer, "a", "disc")
    assert [pair.changed for pair in pairs_in_viewer(viewer, "disc")] == [False]
    layer.data[:5] = 1
    assert [pair.changed for pair in pairs_in_viewer(viewer, "disc")] == [True]
    viewer.layers.remove(layer)
    viewer.add_layer(labels_layer("a disc"))
    assert [pair.changed for pair in pairs_in_viewer(viewer, "disc")] == [True]


def test_each_mask_is_read_once(viewer: ViewerModel, reads: list[str]) -> None:
    for name in ("a", "b"):
        add_eye(viewer, name, "disc", "vessel")
    pairs_in_viewer(viewer, "disc")
    assert reads == ["a disc", "b disc"]


def test_mask_with_a_summary_is_not_read_again(viewer: ViewerModel, reads: list[str]) -> None:
    layers: list[Labels] = [add_eye(viewer, name, "disc")[1] for name in ("a", "b")]
    summaries: dict = {}
    first = pairs_in_viewer(viewer, "disc", summaries=summaries)
    reads.clear()
    again = pairs_in_viewer(viewer, "disc", summaries=summaries)
    assert reads == []
    assert [(pair.key, pair.issue, pair.changed) for pair in again] == [
        (pair.key, pair.issue, pair.changed) for pair in first
    ]
    layers[1].data = np.zeros(SHAPE, np.uint8)
    del summaries[layers[1]]
    assert "empty" in pairs_in_viewer(viewer, "disc", summaries=summaries)[1].issue.message
    assert reads == ["b disc"]
