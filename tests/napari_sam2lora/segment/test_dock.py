"""The Segment dock in a window: what a user presses, clicks and sees."""

import threading

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Layer
from qtpy.QtWidgets import QLabel

from napari_sam2lora._layers import noted
from napari_sam2lora._questions import Choice
from napari_sam2lora.segment.dock import SegmentDock
from sam2lora.batch import segment_scene
from sam2lora.targets import TARGETS

from .conftest import WAIT, Window, fundus, pick, press

pytestmark = pytest.mark.viewer


def words(window: Window) -> str:
    return " ".join(label.text() for label in window.dock.findChildren(QLabel))


def values(window: Window, target: str = "disc") -> np.ndarray:
    return np.array(window.preview(target).data)


def middle(window: Window) -> float:
    """Set a threshold that parts the answer, whatever the network's weights."""
    inside = values(window)[window.session.reply.scene.field.mask]
    threshold = round(float(np.median(inside)), 3)
    window.dock.threshold.number.setValue(threshold)
    return threshold


def test_segment_shows_an_answer_and_a_click_changes_it(window: Window):
    window.segment()
    first = values(window)
    assert first.shape == (200, 200)
    assert 0 < first.max() <= 1
    assert window.session.tool == "point"
    with window.replied():
        window.click(60, 80)
    second = values(window)
    assert np.abs(first - second).max() > 1e-4
    window.dock.switch_sign()
    with window.replied():
        window.click(120, 90)
    signs = [click.positive for click in window.session.prompts.at(window.session.place).clicks]
    assert signs == [True, False]
    with window.replied():
        press(window.dock, "Undo")
    np.testing.assert_array_equal(values(window), second)
    with window.replied():
        press(window.dock, "Clear")
    np.testing.assert_allclose(values(window), first, atol=1e-6)


def test_it_answers_for_the_chosen_target_whatever_mask_is_selected(window: Window):
    from napari_sam2lora._new_mask import add_mask

    vessels = add_mask(window.viewer, window.session.image, TARGETS["vessel"])
    window.viewer.layers.selection.active = vessels
    assert window.session.target.name == "vessel"  # it follows the user
    pick(window.dock.targets.targets, "disc")
    window.segment()
    assert window.session.target.name == "disc"
    assert window.session.reply is not None
    assert window.viewer.layers.selection.active.name == "photo disc points"


@pytest.mark.parametrize("button", ["Clear", "Undo"])
@pytest.mark.parametrize("positive", [True, False])
def test_the_next_click_has_the_sign_that_is_shown(window: Window, button: str, positive: bool):
    window.segment()
    for sign in (not positive, positive):
        window.session.set_sign(sign)
        with window.replied():
            window.click(60, 80)
    with window.replied():
        press(window.dock, button)
    with window.replied():
        window.click(120, 90)
    said = window.session.prompts.at(window.session.place).clicks[-1]
    assert (said.x, said.positive) == (120, positive)
    assert window.session.prompts.positive == positive


def test_segment_all_looks_for_three_targets(window: Window):
    press(window.dock, "Segment all")
    window.idle()
    for target in TARGETS:
        assert window.preview(target).visible
    assert set(window.session.answers.replies) == {("photo", target) for target in TARGETS}


def test_the_threshold_moves_what_is_shown_and_what_is_accepted(window: Window):
    window.segment()
    threshold = middle(window)
    assert window.preview().contrast_limits[0] == pytest.approx(threshold, abs=1e-3)
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    np.testing.assert_array_equal(labels.data > 0, values(window) >= threshold)
    assert 0.2 < np.mean(labels.data[values(window) > 0] > 0) < 0.8
    assert not window.preview().visible
    assert window.viewer.layers.selection.active is labels
    labels.undo()
    assert not labels.data.any()


def test_the_three_ways_to_accept(window: Window):
    window.segment()
    middle(window)
    answer = window.session.answers.mask(window.session.place)
    yes, no = np.argwhere(answer)[0], np.argwhere(~answer)[0]
    for mode, expected in (
        ("empty", {tuple(yes): 7, tuple(no): 7}),
        ("add", {tuple(yes): 2, tuple(no): 7}),
        ("replace", {tuple(yes): 2, tuple(no): 0}),
    ):
        if mode == "empty":
            press(window.dock, "Accept")
            labels = window.viewer.layers["photo disc"]
            for place in (yes, no):
                labels.data_setitem(tuple(np.array([n]) for n in place), 7)
        pick(window.dock.threshold.mode, mode)
        press(window.dock, "Accept")
        assert {place: labels.data[place] for place in expected} == expected
        if mode == "replace":
            np.testing.assert_array_equal(labels.data > 0, answer)


def test_accepting_nothing_says_so(window: Window):
    press(window.dock, "Accept")
    assert "no answer to accept" in window.said[-1]


def test_a_point_outside_the_field_is_refused_in_words_and_taken_back(window: Window):
    window.segment()
    with window.replied():
        window.click(100, 100)
    with window.qtbot.waitSignal(window.session.said, timeout=WAIT):
        window.click(1, 1)
    assert "outside the field of view" in window.said[-1]
    prompts = window.session.prompts.at(window.session.place)
    assert [(click.x, click.y) for click in prompts.clicks] == [(100, 100)]
    points = window.session.prompts.points(window.session.image, TARGETS["disc"])
    assert len(points.data) == 1


def test_a_refusal_stays_while_other_targets_are_answered(window: Window):
    window.session.choose(TARGETS["vessel"], Choice(adapter="gone", detail="whole"))
    press(window.dock, "Segment all")
    window.idle()
    assert {target for _, target in window.session.answers.replies} == {"disc", "cup"}
    shown = window.dock.progress.words
    assert shown.text().startswith("vessel: ")
    assert "gone" in shown.text()
    window.segment()  # the disc again
    assert "gone" in shown.text()
    window.session.choose(TARGETS["vessel"], Choice(detail="whole"))
    pick(window.dock.targets.targets, "vessel")
    window.segment()
    assert shown.text() == ""


def test_refusals_of_several_targets_are_all_there_to_be_read(window: Window):
    for name in ("vessel", "cup"):
        window.session.choose(TARGETS[name], Choice(adapter=f"no-{name}", detail="whole"))
    press(window.dock, "Segment all")
    window.idle()
    assert "no-vessel" in window.dock.progress.words.text()
    assert "no-cup" in window.dock.progress.words.text()


def test_what_is_painted_is_where_the_answer_starts(window: Window):
    window.segment()
    plain = values(window)
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    labels.data_setitem(tuple(np.mgrid[40:80, 50:90].reshape(2, -1)), 2)
    window.dock.prompts.painted.click()
    window.segment()
    assert np.abs(plain - values(window)).max() > 1e-4
    window.dock.prompts.painted.click()
    window.segment()
    np.testing.assert_allclose(values(window), plain, atol=1e-6)


def test_it_answers_as_the_command_line_does(window: Window):
    """The very function, with the same task, on the same image."""
    window.segment()
    with window.replied():
        window.click(70, 90)
    reply = window.session.reply
    predictor = window.session.answering.engine.predictor(window.session.machine, lambda *_: None)
    expected = segment_scene(predictor, reply.scene, [reply.task])["disc"]
    # Sums of products differ in their last bits with where in memory the numbers lie.
    np.testing.assert_allclose(values(window), expected.probabilities, atol=1e-5)


def test_numbers_stand_beside_the_picture(open_window):
    window = open_window(fundus(spacing=(0.01, 0.01)))
    numbers = window.session.answers.numbers
    with window.qtbot.waitSignal(numbers.measured, timeout=WAIT):
        window.segment()
    for expected in ("expected IoU of the disc", "area of the disc", "mm²", "µm"):
        assert expected in words(window)
    with window.qtbot.waitSignal(numbers.measured, timeout=WAIT):
        press(window.dock, "Segment all")
    window.idle()
    with window.qtbot.waitSignal(numbers.measured, timeout=WAIT):
        middle(window)
    assert "vessel density in the field of view" in words(window)


def test_choosing_another_image_hides_the_prompts_of_the_first(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    window.segment()
    with window.replied():
        window.click(60, 60)
    pick(window.dock.targets.images, "right")
    assert not window.viewer.layers["left disc points"].visible
    assert not window.viewer.layers["left disc preview"].visible
    window.segment()
    assert window.session.place == ("right", "disc")
    assert window.session.prompts.at(("right", "disc")).empty
    assert len(window.session.prompts.at(("left", "disc")).clicks) == 1
    pick(window.dock.targets.images, "left")
    assert window.preview().visible
    window.viewer.layers.remove("left")
    window.qtbot.waitUntil(lambda: "left disc preview" not in window.viewer.layers)
    assert window.preview().visible  # of the right one


def test_switching_images_while_it_works_keeps_answers_where_they_belong(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    press(window.dock, "Segment")
    pick(window.dock.targets.images, "right")
    press(window.dock, "Segment")
    window.idle()
    for name in ("left", "right"):
        layer = window.session.answers.previews.find((name, "disc"))
        assert noted(layer.metadata)["image"] == name
        np.testing.assert_array_equal(
            layer.data, window.session.answers.replies[name, "disc"].segmented.probabilities
        )


def test_layers_may_be_renamed_and_reordered(window: Window):
    window.segment()
    viewer = window.viewer
    for layer in list(viewer.layers):
        layer.name = f"{layer.name} renamed"
    viewer.layers.move(len(viewer.layers) - 1, 0)
    count = len(viewer.layers)
    with window.replied():
        window.click(80, 80)
    assert len(viewer.layers) == count
    press(window.dock, "Accept")
    press(window.dock, "Accept")
    assert len(viewer.layers) == count + 1
    assert window.dock.targets.images.currentText() == "photo renamed"


def test_layers_may_be_deleted(window: Window):
    window.segment()
    with window.replied():
        window.click(80, 80)
    viewer = window.viewer
    viewer.layers.remove(window.preview())
    viewer.layers.remove("photo disc points")
    window.qtbot.waitUntil(lambda: window.session.prompts.at(("photo", "disc")).empty)
    window.segment()
    assert window.preview().visible
    assert "photo disc points" in viewer.layers


def test_a_deleted_layer_of_points_comes_back_when_that_is_undone(window: Window):
    window.segment()
    for x in (80, 90):
        with window.replied():
            window.click(x, 80)
    window.viewer.layers.remove(window.points())
    window.qtbot.waitUntil(lambda: window.session.prompts.at(window.session.place).empty)
    window.idle()
    with window.replied():
        press(window.dock, "Undo")
    np.testing.assert_array_equal(window.points().data, [(80, 80), (80, 90)])
    with window.replied():
        window.click(100, 80)
    assert len(window.session.prompts.at(window.session.place).clicks) == 3
    window.viewer.layers.remove("photo disc box")
    with window.replied():
        press(window.dock, "Undo")
    assert len(window.points().data) == 2


def test_a_dock_that_is_opened_again_knows_the_prompts_that_are_there(window: Window, qtbot):
    window.segment()
    for x in (80, 90):
        with window.replied():
            window.click(x, 80)
    window.session.set_target("cup")
    window.segment()
    window.viewer.window.remove_dock_widget(window.dock)
    window.viewer.layers["photo disc points"].visible = True
    again = Window(window.viewer, qtbot)
    assert not again.viewer.layers["photo disc points"].visible  # it goes on with the cup
    pick(again.dock.targets.targets, "disc")
    assert not again.viewer.layers["photo cup points"].visible
    assert len(again.session.prompts.at(again.session.place).clicks) == 2
    again.idle()
    assert again.session.answers.replies == {}
    with again.replied():
        again.click(100, 80)
    assert len(again.session.reply.question.prompts.clicks) == 3
    with again.replied():
        press(again.dock, "Clear")
    assert len(again.points().data) == 0
    again.session.close()


def test_the_image_may_be_deleted_while_it_works(window: Window):
    press(window.dock, "Segment")
    window.viewer.layers.remove("photo")
    window.idle()
    assert window.session.image is None
    assert window.session.answers.previews.find(("photo", "disc")) is None
    press(window.dock, "Segment")
    assert "Open a fundus photograph" in window.said[-1]


def test_an_image_that_comes_back_has_its_prompts(window: Window, tmp_path):
    viewer = window.viewer
    viewer.layers.clear()
    layer = fundus(path=tmp_path / "a.png")
    viewer.add_layer(layer)
    window.qtbot.waitUntil(lambda: window.session.image is layer)
    window.segment()
    with window.replied():
        window.click(80, 70)
    for one in list(viewer.layers):
        viewer.layers.remove(one)
    window.qtbot.waitUntil(lambda: window.session.image is None)
    viewer.add_layer(fundus(path=tmp_path / "a.png"))
    window.qtbot.waitUntil(lambda: window.session.image is not None)
    window.segment()
    points = viewer.layers["photo disc points"]
    np.testing.assert_array_equal(points.data, [(70, 80)])


def test_a_defect_in_the_model_is_shown_and_the_next_answer_comes(
    window: Window, notices: list[str], monkeypatch: pytest.MonkeyPatch
):
    window.segment()
    with monkeypatch.context() as patch:
        patch.setattr("sam2lora.predictor.Predictor.answer", lambda *_, **__: 1 / 0)
        with window.qtbot.waitSignal(window.session.answering.worker.failed, timeout=WAIT):
            press(window.dock, "Segment")
    assert "ZeroDivisionError" in words(window)
    assert "division by zero" in " ".join(notices)
    window.segment()
    assert "ZeroDivisionError" not in words(window)


def test_cancel_stops_and_it_can_go_on(window: Window, monkeypatch: pytest.MonkeyPatch):
    window.segment()
    begun, go_on = threading.Event(), threading.Event()
    real = window.session.answering.engine.answer

    def slow(question, report):
        begun.set()
        go_on.wait(60)
        return real(question, report)

    monkeypatch.setattr(window.session.answering.engine, "answer", slow)
    press(window.dock, "Segment")
    window.qtbot.waitUntil(begun.is_set, timeout=WAIT)
    window.cancel()
    with window.qtbot.waitSignal(window.session.answering.worker.stopped, timeout=WAIT):
        go_on.set()
    assert window.said[-1] == "Cancelled."
    window.segment()


def test_the_newest_prompt_wins(window: Window, monkeypatch: pytest.MonkeyPatch):
    window.segment()
    begun, go_on = threading.Event(), threading.Event()
    real, asked = window.session.answering.engine.answer, []

    def slow(question, report):
        asked.append(len(question.prompts.clicks))
        begun.set()
        go_on.wait(60)
        return real(question, report)

    monkeypatch.setattr(window.session.answering.engine, "answer", slow)
    window.click(60, 60)
    window.qtbot.waitUntil(begun.is_set, timeout=WAIT)
    for number in range(4):
        window.click(70 + number, 60)
    go_on.set()
    window.idle()
    assert asked == [1, 5]
    assert len(window.session.reply.question.prompts.clicks) == 5


def test_closing_the_dock_while_it_works_is_clean(window: Window, monkeypatch: pytest.MonkeyPatch):
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(question, report):
        begun.set()
        go_on.wait(60)
        try:
            report("going on", 0, 1)
        finally:
            ended.set()

    monkeypatch.setattr(window.session.answering.engine, "answer", slow)
    press(window.dock, "Segment")
    window.qtbot.waitUntil(begun.is_set, timeout=WAIT)
    heard: list[object] = []
    window.session.answering.worker.done.connect(heard.append)
    window.session.answering.worker.failed.connect(heard.append)
    window.viewer.window.remove_dock_widget(window.dock)
    go_on.set()
    assert ended.wait(60)
    window.qtbot.wait(0)
    assert heard == []
    window.viewer.layers.remove("photo")
    window.viewer.add_layer(fundus("another"))


def ours(layer: Layer, viewer: Viewer) -> list[str]:
    """Give the modules of the plugin that a layer, or the list of layers, would still call."""
    emitters = [
        *layer.events.emitters.values(),
        *viewer.layers.events.emitters.values(),
        viewer.layers.selection.events.active,
    ]
    found = []
    for emitter in emitters:
        for callback in emitter.callbacks:
            # A bound method is kept as a weak reference to its object, and a name.
            called = callback[0]() if isinstance(callback, tuple) else callback
            found.append(type(called).__module__)
    return [module for module in found if module.startswith("napari_sam2lora")]


def test_closing_the_window_while_it_works_is_clean(make_napari_viewer, qtbot, monkeypatch):
    viewer = make_napari_viewer()
    image = viewer.add_layer(fundus())
    viewer.add_labels(np.zeros((200, 200), np.uint8), name="photo disc")
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    session, begun, go_on = dock.session, threading.Event(), threading.Event()

    def slow(question, report):
        begun.set()
        assert go_on.wait(60)
        report("going on", 0, 1)

    monkeypatch.setattr(session.answering.engine, "answer", slow)
    press(dock, "Segment")
    qtbot.waitUntil(begun.is_set, timeout=WAIT)
    assert ours(image, viewer)
    heard: list[object] = []
    session.answering.worker.done.connect(heard.append)
    session.answering.worker.failed.connect(heard.append)
    del dock  # the window alone holds it
    viewer.close()
    qtbot.waitUntil(lambda: session.answering.worker._closed)
    go_on.set()
    session.answering.worker._executor.shutdown(wait=True)
    qtbot.wait(0)
    assert heard == []
    assert ours(image, viewer) == []


def test_two_windows_do_not_disturb_each_other(open_window, tmp_path):
    """They show the very same file."""
    path = tmp_path / "eye.png"
    first, second = (open_window(fundus("eye", path=path)) for _ in range(2))
    place = (str(path), "disc")
    first.segment()
    with first.replied():
        first.click(60, 60)
    assert second.session.answers.replies == {}
    second.segment()
    assert len(first.session.prompts.at(place).clicks) == 1
    assert second.session.prompts.at(place).empty
    assert len(second.viewer.layers["eye disc points"].data) == 0
    assert np.abs(values(first) - values(second)).max() > 1e-4
    second.dock.threshold.number.setValue(0.31)
    assert first.session.answers.chosen_threshold(place) is None
    first.dock.switch_sign()
    assert second.session.prompts.positive
    pick(first.dock.targets.targets, "cup")
    assert second.session.target.name == "disc"


def test_it_is_in_the_menu(make_napari_viewer):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Segment")
    assert type(dock).__name__ == "SegmentDock"
    dock.session.close()
