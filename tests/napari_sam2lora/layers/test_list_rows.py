"""The list of layers has one row a target."""

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer, Points
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListView, QWidget

from napari_sam2lora.layers.list_rows import LayerRows, without_row
from napari_sam2lora.layers.masks import SPARE
from napari_sam2lora.layers.metadata import METADATA_KEY


def layer(kind: type[Layer], name: str, **entries: str) -> Layer:
    data = np.zeros((0, 2)) if kind is Points else np.zeros((8, 8), np.uint8)
    return kind(data, name=name, metadata={METADATA_KEY: entries} if entries else {})


def layers_of(image: str) -> dict[str, Layer]:
    """Return an image, a mask, a preview of each of two targets, prompts, and an empty mask."""
    made = [
        layer(Image, "eye", path=image),
        layer(Labels, "disc", image=image, target="disc"),
        layer(Labels, "spare", image=image, target="cup", view=SPARE),
        layer(Image, "disc preview", image=image, target="disc", view="preview"),
        layer(Image, "cup preview", image=image, target="cup", view="preview"),
        layer(Points, "points", image=image, target="cup", prompts="points"),
        layer(Labels, "mine"),
    ]
    return {one.name: one for one in made}


def test_a_target_has_its_mask_or_else_its_preview():
    layers = layers_of("eye.png")
    names = [one.name for one in without_row(layers.values())]
    assert names == ["spare", "disc preview", "points"]


@pytest.mark.viewer
def test_rows_follow_the_layers(make_napari_viewer, qtbot: QtBot):
    viewer = make_napari_viewer()
    layers = layers_of("eye.png")
    for one in layers.values():
        viewer.add_layer(one)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Measurements")
    rows = LayerRows(viewer)
    rows.follow(dock.window())

    def shown() -> list[str]:
        (view,) = (one for one in dock.window().findChildren(QListView) if is_list(one))
        model = view.model()
        names = [model.index(row, 0).data() for row in range(model.rowCount())]
        return [name for row, name in enumerate(names) if not view.isRowHidden(row)]

    qtbot.waitUntil(lambda: shown() == ["mine", "cup preview", "disc", "eye"])
    viewer.layers.remove("disc")
    qtbot.waitUntil(lambda: "disc preview" in shown())
    viewer.layers.move(0, len(viewer.layers))
    qtbot.waitUntil(lambda: shown() == ["eye", "mine", "cup preview", "disc preview"])
    rows.close()
    assert len(shown()) == len(viewer.layers)


def is_list(view: QWidget) -> bool:
    model = view.model()
    role = Qt.ItemDataRole.UserRole
    return model.rowCount() > 0 and isinstance(model.index(0, 0).data(role), Layer)
