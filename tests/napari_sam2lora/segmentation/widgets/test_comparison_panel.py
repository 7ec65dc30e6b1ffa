"""Comparing models on the same prompts."""

import threading

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.requests import ModelChoice
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER
from sam2lora.metrics.segmentation import dice

from ...segmentation_window import WAIT, Window, pick, press

pytestmark = pytest.mark.viewer


def shown(window: Window) -> list[Labels]:
    layers = (one for one in window.viewer.layers if isinstance(one, Labels))
    return [one for one in layers if plugin_metadata(one.metadata).get("view") == "comparison"]


def compare(window: Window) -> None:
    press(window.dock.comparison_panel, "Compare")
    window.idle()


@pytest.fixture
def two(window: Window, install_for_nano) -> Window:
    """Give a window where two adapters are to be compared to the bare base."""
    for name in ("first", "the-second"):
        install_for_nano(name)
    window.dock.models.refresh_adapters()
    window.dock.comparison_panel.lists_requested.emit()
    for box, name in zip(
        window.dock.comparison_panel.models, (NO_ADAPTER, "first", "the-second"), strict=True
    ):
        pick(box, name)
    return window


def test_side_by_side_with_dice_to_a_reference(two: Window):
    reference = np.zeros((200, 200), np.uint8)
    reference[60:140, 60:140] = 2
    labels = two.viewer.add_labels(reference, name="photo disc")
    two.dock.comparison_panel.lists_requested.emit()
    pick(two.dock.comparison_panel.reference, str(labels.unique_id))
    compare(two)
    results = two.dock.comparison.comparison.results
    assert [one.title for one in results] == ["No adapter", "first", "the-second"]
    for result, layer in zip(results, shown(two), strict=True):
        mask = result.result.prediction.mask
        expected = dice(mask, labels.data > 0, valid=result.result.prepared.field.mask)
        assert f"Dice {expected:.3f}" in two.dock.comparison_panel.results.text()
        np.testing.assert_array_equal(layer.data == 1, mask & (reference > 0))
        np.testing.assert_array_equal(layer.data == 2, mask & (reference == 0))
        np.testing.assert_array_equal(layer.data == 3, ~mask & (reference > 0))
    places = [layer.translate[1] for layer in shown(two)]
    assert places == pytest.approx([210, 420, 630])
    assert "red" in two.dock.comparison_panel.results.text()


def test_a_reference_that_is_renamed_stays_one_and_one_that_is_gone_is_said(two: Window):
    labels = two.viewer.add_labels(np.pad(np.ones((80, 80), np.uint8), 60), name="photo disc")
    two.dock.comparison_panel.lists_requested.emit()
    pick(two.dock.comparison_panel.reference, str(labels.unique_id))
    labels.name = "grader disc"
    two.dock.comparison_panel.lists_requested.emit()
    assert two.dock.comparison_panel.reference.currentText() == "grader disc"
    compare(two)
    assert all(one.score_text.startswith("Dice") for one in two.dock.comparison.comparison.results)
    two.viewer.layers.remove(labels)
    two.dock.comparison_panel.lists_requested.emit()
    press(two.dock.comparison_panel, "Compare")
    assert "no mask of this image any more" in two.dock.comparison_panel.results.text()
    assert not two.session.queue.worker.busy


@pytest.mark.parametrize("shape", [(1, 200, 200), (3, 200, 200)])
def test_images_with_leading_dimensions_lie_side_by_side_too(open_window, shape, notices):
    pixels = np.random.default_rng(0).integers(60, 200, shape, dtype=np.uint8)
    window = open_window(Image(pixels, name="photo"))
    compare(window)
    assert [layer.translate[1] for layer in shown(window)] == pytest.approx([210, 420])
    assert notices == []


def test_without_a_reference_the_first_is_it(two: Window):
    two.dock.use_points()
    with two.result_ready():
        two.click(80, 80)
    compare(two)
    first, *others = two.dock.comparison.comparison.results
    assert first.score_text == "the reference"
    assert first.result.request.prompts.points  # the same prompts for all
    assert all(one.score_text.startswith("Dice") for one in others)


def test_blinking_shows_one_at_a_time(two: Window):
    pick(two.dock.comparison_panel.display, "blink")
    compare(two)
    layers = shown(two)
    assert [layer.visible for layer in layers] == [True, False, False]
    assert {layer.translate[1] for layer in layers} == {0}
    for expected in ([False, True, False], [False, False, True], [True, False, False]):
        two.qtbot.waitUntil(
            lambda expected=expected: [layer.visible for layer in layers] == expected, timeout=5000
        )


def test_clearing_takes_it_all_away(two: Window):
    two.viewer.fit_to_view()
    zoom = two.viewer.prepared.camera.zoom
    compare(two)
    assert two.viewer.prepared.camera.zoom < zoom
    press(two.dock.comparison_panel, "Clear")
    assert two.viewer.prepared.camera.zoom == pytest.approx(zoom)
    assert [layer.name for layer in two.viewer.layers] == ["photo"]
    assert two.dock.comparison_panel.results.text() == ""


def held(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> tuple[threading.Event, list[ModelChoice]]:
    """Let the first answer wait, and write down which ones are asked for."""
    go_on, asked = threading.Event(), []
    real = window.session.queue.engine.segment

    def slow(question, report):
        asked.append(question.choice)
        assert go_on.wait(60)
        return real(question, report)

    monkeypatch.setattr(window.session.queue.engine, "segment", slow)
    press(window.dock.comparison_panel, "Compare")
    window.qtbot.waitUntil(lambda: len(asked) == 1, timeout=WAIT)
    return go_on, asked


def test_what_is_taken_away_while_it_runs_does_not_come_back(two: Window, monkeypatch):
    two.idle()
    go_on, asked = held(two, monkeypatch)
    press(two.dock.comparison_panel, "Clear")
    go_on.set()
    two.idle()
    assert two.dock.comparison.comparison.results == []
    assert shown(two) == []
    assert len(asked) == 1  # nobody else is asked in vain


def test_the_results_of_a_comparison_before_are_not_among_the_next(two: Window, monkeypatch):
    two.idle()
    go_on, _ = held(two, monkeypatch)
    press(two.dock.comparison_panel, "Compare")  # not while one runs
    assert two.dock.comparison.comparison._number == 1
    press(two.dock.comparison_panel, "Clear")
    press(two.dock.comparison_panel, "Compare")
    go_on.set()
    two.idle()
    titles = [one.title for one in two.dock.comparison.comparison.results]
    assert titles == ["No adapter", "first", "the-second"]
    press(two.dock.comparison_panel, "Clear")
    compare(two)
    assert len(shown(two)) == 3


def test_who_cannot_answer_says_why_and_the_others_go_on(two: Window, tmp_path):
    pick(two.dock.comparison_panel.models[1], AUTOMATIC)
    from sam2lora.adapters import delete_adapter

    delete_adapter("the-second")
    compare(two)
    base, automatic, gone = two.dock.comparison.comparison.results
    assert base.result is not None
    assert automatic.result.task.adapter.name == "first"
    assert gone.result is None
    assert "no adapter called 'the-second'" in two.dock.comparison_panel.results.text()


def test_pictures_beside_the_image_are_no_photographs(two: Window):
    compare(two)
    two.qtbot.wait(0)
    images = two.dock.targets.images
    assert [images.itemText(number) for number in range(images.count())] == ["photo"]
