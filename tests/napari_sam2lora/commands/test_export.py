"""Commands under File → IO Utilities."""

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer
from PIL import Image
from qtpy.QtWidgets import QFileDialog

from napari_sam2lora.commands.export import export_for_vascx, export_masks, import_adapter
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.points import LocatedPoint, point_layer
from sam2lora.adapters import export_adapter, find_adapter
from sam2lora.images.reading import read_mask
from sam2lora.targets import FOVEA

from ..conftest import bar, eye


@pytest.fixture
def choose_path(monkeypatch: pytest.MonkeyPatch):
    """Return a function that sets the path a user chooses in file dialogs."""

    def choose(path: Path | str) -> None:
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(path))
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))

    return choose


@pytest.mark.viewer
def test_masks_are_exported_under_the_image_name(
    make_napari_viewer, choose_path, tmp_path: Path, notices: list[str]
):
    viewer = make_napari_viewer()
    for layer in eye("vessel", "cup", name="shown as", path=Path("/data/left.eye.jpg")):
        viewer.add_layer(layer)
    viewer.layers.selection.active = viewer.layers[0]
    choose_path(tmp_path)
    export_masks(viewer)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"left.eye_vessel.png", "left.eye_cup.png"}
    np.testing.assert_array_equal(read_mask(tmp_path / "left.eye_vessel.png"), bar())
    assert "left.eye_cup.png" in notices[0]


@pytest.mark.viewer
def test_vascx_export_writes_image_vessels_and_disc(
    make_napari_viewer, choose_path, tmp_path: Path
):
    viewer = make_napari_viewer()
    for layer in eye("vessel", "disc", "cup", name="my eye"):
        viewer.add_layer(layer)
    viewer.layers.selection.clear()
    choose_path(tmp_path)
    export_for_vascx(viewer)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
    expected = {"preprocessed_rgb/my_eye.png", "vessels/my_eye.png", "disc/my_eye.png"}
    assert files == expected | {"bounds.csv"}
    with Image.open(tmp_path / "disc" / "my_eye.png") as disc:
        assert disc.size == (1024, 1024)


@pytest.mark.viewer
def test_vascx_export_has_the_fovea_of_this_image_alone(
    make_napari_viewer, choose_path, tmp_path: Path
):
    viewer = make_napari_viewer()
    for name, point in (("other", LocatedPoint(10, 10)), ("my eye", LocatedPoint(60, 40, 0.8))):
        layers = eye("vessel", name=name)
        for layer in layers:
            viewer.add_layer(layer)
        image = layer_data(viewer.layers[name])
        viewer.add_layer(Layer.create(*point_layer(image, FOVEA, point)))
    viewer.layers.selection.active = viewer.layers["my eye"]
    choose_path(tmp_path)
    export_for_vascx(viewer)
    rows = (tmp_path / "fovea.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("my_eye,")
    with Image.open(tmp_path / "vessels" / "my_eye.png") as vessels:
        side = vessels.size[0]
    x, y = (float(value) for value in rows[1].split(",")[1:])
    assert side / 2 < x < side
    assert 0 < y < side / 2


@pytest.mark.viewer
@pytest.mark.parametrize("command", [export_masks, export_for_vascx])
def test_export_writes_nothing_when_cancelled_or_without_masks(
    make_napari_viewer, choose_path, tmp_path: Path, notices: list[str], command
):
    viewer = make_napari_viewer()
    _image, vessel = (viewer.add_layer(layer) for layer in eye("vessel"))
    choose_path("")
    command(viewer)
    assert notices == []
    viewer.layers.remove(vessel)
    choose_path(tmp_path)
    command(viewer)
    assert notices[0].startswith("eye has no masks")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.viewer
def test_export_to_unwritable_folder_is_notified(
    make_napari_viewer, choose_path, tmp_path: Path, notices: list[str]
):
    viewer = make_napari_viewer()
    for layer in eye("vessel"):
        viewer.add_layer(layer)
    choose_path(tmp_path / "gone")
    export_masks(viewer)
    assert "cannot be written" in notices[0]
    assert "--out" not in notices[0]


def test_adapter_chosen_in_the_dialog_is_imported(
    make_adapter, choose_path, tmp_path: Path, notices: list[str]
):
    choose_path(export_adapter(make_adapter(), tmp_path))
    import_adapter()
    assert find_adapter("my-vessels")
    import_adapter()
    assert "already" in notices[-1]
    choose_path("")
    import_adapter()
    assert len(notices) == 2
