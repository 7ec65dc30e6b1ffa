"""Comparing models on the same prompts, in a window."""

import threading

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.requests import ModelChoice
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER
from sam2lora.metrics.segmentation import dice

from ..helpers import pick, press
from ..segmentation_window import WAIT, Window

pytestmark = pytest.mark.viewer


def shown(window: Window) -> list[Labels]:
    labels = (layer for layer in window.viewer.layers if isinstance(layer, Labels))
    return [each for each in labels if plugin_metadata(each.metadata).get("view") == "comparison"]


def compare(window: Window) -> None:
    press(window.dock.comparison_panel, "Compare")
    window.idle()


@pytest.fixture
def two(window: Window, install_for_nano) -> Window:
    """Open a window where two adapters are selected to be compared with the base model."""
    for name in ("first", "the-second"):
        install_for_nano(name)
    window.dock.models.refresh_adapters()
    window.dock.comparison_panel.lists_requested.emit()
    for box, name in zip(
        window.dock.comparison_panel.models, (NO_ADAPTER, "first", "the-second"), strict=True
    ):
        pick(box, name)
    return window


def test_models_are_compared_with_a_reference_side_by_side(two: Window):
    reference = np.zeros((200, 200), np.uint8)
    reference[60:140, 60:140] = 2
    labels = two.viewer.add_labels(reference, name="photo disc")
    two.dock.comparison_panel.lists_requested.emit()
    pick(two.dock.comparison_panel.reference, str(labels.unique_id))
    compare(two)
    results = two.dock.comparison.comparison.results
    assert [compared.title for compared in results] == ["No adapter", "first", "the-second"]
    for compared, layer in zip(results, shown(two), strict=True):
        mask = compared.result.prediction.mask
        expected = dice(mask, labels.data > 0, valid=compared.result.prepared.field.mask)
        assert f"Dice {expected:.3f}" in two.dock.comparison_panel.results.text()
        np.testing.assert_array_equal(layer.data == 1, mask & (reference > 0))
        np.testing.assert_array_equal(layer.data == 2, mask & (reference == 0))
        np.testing.assert_array_equal(layer.data == 3, ~mask & (reference > 0))
    offsets = [layer.translate[1] for layer in shown(two)]
    assert offsets == pytest.approx([210, 420, 630])
    assert "red" in two.dock.comparison_panel.results.text()


def test_renamed_reference_is_kept_and_a_removed_one_explained(two: Window):
    labels = two.viewer.add_labels(np.pad(np.ones((80, 80), np.uint8), 60), name="photo disc")
    two.dock.comparison_panel.lists_requested.emit()
    pick(two.dock.comparison_panel.reference, str(labels.unique_id))
    labels.name = "grader disc"
    two.dock.comparison_panel.lists_requested.emit()
    assert two.dock.comparison_panel.reference.currentText() == "grader disc"
    compare(two)
    results = two.dock.comparison.comparison.results
    assert all(compared.score_text.startswith("Dice") for compared in results)
    two.viewer.layers.remove(labels)
    two.dock.comparison_panel.lists_requested.emit()
    press(two.dock.comparison_panel, "Compare")
    assert "no longer a mask of this image" in two.dock.comparison_panel.results.text()
    assert not two.session.queue.worker.busy


@pytest.mark.parametrize("shape", [(1, 200, 200), (3, 200, 200)])
def test_images_with_leading_dimensions_are_shown_side_by_side(open_window, shape, notices):
    pixels = np.random.default_rng(0).integers(60, 200, shape, dtype=np.uint8)
    window = open_window(Image(pixels, name="photo"))
    compare(window)
    assert [layer.translate[1] for layer in shown(window)] == pytest.approx([210, 420])
    assert notices == []


def test_first_model_is_the_default_reference(two: Window):
    two.dock.use_points()
    with two.wait_result():
        two.click(80, 80)
    compare(two)
    first, *others = two.dock.comparison.comparison.results
    assert first.score_text == "reference"
    assert first.result.request.prompts.points  # the same prompts for all
    assert all(compared.score_text.startswith("Dice") for compared in others)


def test_blink_shows_one_result_at_a_time(two: Window):
    pick(two.dock.comparison_panel.display, "blink")
    compare(two)
    layers = shown(two)
    assert [layer.visible for layer in layers] == [True, False, False]
    assert {layer.translate[1] for layer in layers} == {0}
    for expected in ([False, True, False], [False, False, True], [True, False, False]):
        two.qtbot.waitUntil(
            lambda expected=expected: [layer.visible for layer in layers] == expected, timeout=5000
        )


def test_clear_removes_layers_and_restores_the_view(two: Window):
    two.viewer.fit_to_view()
    zoom = two.viewer.camera.zoom
    compare(two)
    assert two.viewer.camera.zoom < zoom
    press(two.dock.comparison_panel, "Clear")
    assert two.viewer.camera.zoom == pytest.approx(zoom)
    assert [layer.name for layer in two.viewer.layers] == ["photo"]
    assert two.dock.comparison_panel.results.text() == ""


def hold_first(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> tuple[threading.Event, list[ModelChoice]]:
    """Start a comparison, hold its first request, and record the choices of all requests."""
    resume, choices = threading.Event(), []
    real = window.session.queue.engine.segment

    def slow(request, report):
        choices.append(request.choice)
        assert resume.wait(60)
        return real(request, report)

    monkeypatch.setattr(window.session.queue.engine, "segment", slow)
    press(window.dock.comparison_panel, "Compare")
    window.qtbot.waitUntil(lambda: len(choices) == 1, timeout=WAIT)
    return resume, choices


def test_cleared_comparison_does_not_come_back(two: Window, monkeypatch):
    two.idle()
    resume, choices = hold_first(two, monkeypatch)
    press(two.dock.comparison_panel, "Clear")
    resume.set()
    two.idle()
    assert two.dock.comparison.comparison.results == []
    assert shown(two) == []
    assert len(choices) == 1  # the other models are not segmented


def test_results_of_a_cleared_comparison_are_not_in_the_next(two: Window, monkeypatch):
    two.idle()
    resume, _ = hold_first(two, monkeypatch)
    press(two.dock.comparison_panel, "Compare")  # ignored while one runs
    assert two.dock.comparison.comparison._number == 1
    press(two.dock.comparison_panel, "Clear")
    press(two.dock.comparison_panel, "Compare")
    resume.set()
    two.idle()
    titles = [compared.title for compared in two.dock.comparison.comparison.results]
    assert titles == ["No adapter", "first", "the-second"]
    press(two.dock.comparison_panel, "Clear")
    compare(two)
    assert len(shown(two)) == 3


def test_failed_model_is_explained_and_the_others_are_compared(two: Window, tmp_path):
    pick(two.dock.comparison_panel.models[1], AUTOMATIC)
    from sam2lora.adapters import delete_adapter

    delete_adapter("the-second")
    compare(two)
    base, automatic, gone = two.dock.comparison.comparison.results
    assert base.result is not None
    assert automatic.result.task.adapter.name == "first"
    assert gone.result is None
    assert "no adapter called 'the-second'" in two.dock.comparison_panel.results.text()


def test_comparison_layers_are_not_listed_as_images(two: Window):
    compare(two)
    two.qtbot.wait(0)
    images = two.dock.targets.images
    assert [images.itemText(number) for number in range(images.count())] == ["photo"]
