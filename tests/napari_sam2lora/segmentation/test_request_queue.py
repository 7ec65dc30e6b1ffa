"""Requests hold choices and prompts; the newest is first, stale results are never shown."""

import threading

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2lora.layers.masks import add_mask
from napari_sam2lora.segmentation.request_queue import RequestErrors
from napari_sam2lora.segmentation.requests import DeviceInfo, FailedRequest, ModelChoice
from sam2lora.errors import AdapterError, GeometryError
from sam2lora.targets import TARGETS

from ..segmentation_window import fundus
from .conftest import DISC, Core, make_result

KEY = ("photo", "disc")


@pytest.fixture
def gate(core: Core, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Hold requests back until this is set."""
    opened = threading.Event()
    real = core.queue.engine.segment

    def wait(request, report):
        assert opened.wait(10)
        report("continued", 0, None)
        return real(request, report)

    monkeypatch.setattr(core.queue.engine, "segment", wait)
    yield opened
    opened.set()


def test_request_holds_choices_and_prompts(core: Core) -> None:
    core.choices.set_choice(DISC, ModelChoice(adapter="mine", detail="zoom"))
    core.click(60, 80)
    request = core.queue.make_request(core.image, DISC)
    assert (request.image.key, request.target) == ("photo", DISC)
    assert [(point.x, point.y) for point in request.prompts.points] == [(60, 80)]
    assert request.choice == ModelChoice(adapter="mine", detail="zoom")
    assert request.prompts.mask is None


def test_painted_mask_is_a_prompt_if_chosen(core: Core) -> None:
    painted = np.zeros((200, 200), np.uint8)
    painted[80:90, 80:90] = 2
    core.viewer.add_layer(Labels(painted, name="photo disc"))
    core.choices.set_start_from_mask(True)
    request = core.queue.make_request(core.image, DISC)
    np.testing.assert_array_equal(request.prompts.mask, painted > 0)


def test_result_is_shown_and_may_be_accepted(core: Core) -> None:
    result = core.submit()
    assert core.results.latest[KEY] is result
    assert core.queue.blocking_reason(result) == ""


def test_point_is_requested_at_once(core: Core) -> None:
    core.submit()
    with core.qtbot.waitSignal(core.queue.result_ready, timeout=5000):
        core.click(60, 80)
    assert len(core.requests[-1].prompts.points) == 1


def test_waiting_requests_of_one_target_are_replaced_by_the_newest(
    core: Core, gate: threading.Event
) -> None:
    for number in range(4):
        core.click(60 + 5 * number, 80)
    gate.set()
    core.idle()
    assert len(core.requests) <= 2
    assert len(core.results.latest[KEY].request.prompts.points) == 4


def test_result_before_a_new_point_cannot_be_accepted(core: Core, gate: threading.Event) -> None:
    gate.set()
    first = core.submit()
    gate.clear()
    core.click(60, 80)
    assert "still being computed" in core.queue.blocking_reason(first)
    gate.set()
    core.idle()
    assert core.queue.blocking_reason(core.results.latest[KEY]) == ""


def test_stale_result_is_not_accepted_after_cancel(core: Core, gate: threading.Event) -> None:
    gate.set()
    first = core.submit()
    gate.clear()
    core.click(60, 80)
    preview = core.results.previews.find(KEY)
    before = preview.opacity
    with core.qtbot.waitSignal(core.queue.worker.stopped, timeout=5000):
        core.queue.cancel()
        gate.set()
    core.idle()
    assert "Press Segment" in core.queue.blocking_reason(first)
    assert preview.opacity < before
    assert core.messages[-1] == "Cancelled."


def test_undone_point_makes_the_result_current_again(core: Core, gate: threading.Event) -> None:
    gate.set()
    first = core.submit()
    gate.clear()
    core.click(60, 80)
    core.queue.cancel()
    gate.set()
    core.idle()
    core.prompts.undo(KEY)
    assert core.queue.blocking_reason(first) == ""
    assert core.results.previews.find(KEY).opacity == pytest.approx(0.6)


@pytest.mark.parametrize(
    "change",
    [
        lambda choices: choices.set_choice(DISC, ModelChoice(detail="zoom")),
        lambda choices: choices.set_compute("tiny"),
        lambda choices: choices.set_start_from_mask(True),
    ],
    ids=["input mode", "model", "start from mask"],
)
def test_result_of_another_choice_is_outdated(core: Core, change) -> None:
    result = core.submit()
    change(core.choices)
    assert "older than the current settings" in core.queue.blocking_reason(result)
    assert core.results.previews.find(KEY).opacity < 0.75


def test_result_of_replaced_pixels_is_not_shown(core: Core, gate: threading.Event) -> None:
    core.queue.submit(core.image, DISC)
    core.image.data = core.image.data[::-1].copy()
    gate.set()
    core.idle()
    assert KEY not in core.results.latest
    assert "image has changed" in core.messages[-1]


def test_result_of_an_image_that_was_read_again_is_shown(core: Core, gate: threading.Event) -> None:
    core.queue.submit(core.image, DISC)
    core.image.data = core.image.data.copy()
    gate.set()
    core.idle()
    assert core.queue.blocking_reason(core.results.latest[KEY]) == ""
    assert core.results.previews.find(KEY).visible


def test_result_of_a_closed_image_is_not_shown(core: Core, gate: threading.Event) -> None:
    image = core.image
    core.queue.submit(image, DISC)
    core.viewer.layers.remove(image)
    gate.set()
    core.idle()
    assert core.results.latest == {}


def test_failure_is_explained_until_the_target_is_requested_again(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            core.queue.engine,
            "try_segment",
            lambda request, report: FailedRequest(request, AdapterError("no adapter for disc")),
        )
        core.queue.submit(core.image, DISC)
        core.idle()
    assert core.messages[-1] == "disc: no adapter for disc"
    core.submit()
    assert core.queue.errors.of_image("photo") == ""


def test_unexpected_error_is_reported_and_the_next_request_works(
    core: Core, monkeypatch: pytest.MonkeyPatch, notices: list[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(core.queue.engine, "segment", lambda *_: 1 / 0)
        core.queue.submit(core.image, DISC)
        core.idle()
    assert "Unexpected error (please report): ZeroDivisionError" in core.messages[-1]
    assert any("ZeroDivisionError" in notice or "division" in notice for notice in notices)
    assert core.submit().request.target == DISC


def test_point_outside_the_field_of_view_is_removed_and_explained(core: Core) -> None:
    core.submit()
    core.click(1, 1)
    core.qtbot.waitUntil(lambda: not core.prompts.at(KEY).points, timeout=2000)
    assert "field of view" in core.messages[-1]
    assert core.queue.blocking_reason(core.results.latest[KEY]) == ""


def test_prompt_refused_by_the_network_is_removed(core: Core, monkeypatch) -> None:
    field = np.zeros((200, 200), bool)
    field[90:110, 90:110] = True

    def refuse(request, report):
        if request.prompts.points:
            return FailedRequest(request, GeometryError("outside"), field)
        return make_result(request)

    monkeypatch.setattr(core.queue.engine, "try_segment", refuse)
    core.click(60, 80)
    core.qtbot.waitUntil(lambda: not core.prompts.at(KEY).points, timeout=5000)
    core.idle()
    assert "outside" in core.messages[0]


def test_stack_is_refused_without_a_request(make_core) -> None:
    core = make_core(fundus())
    core.image.data = np.zeros((5, 200, 200, 3), np.uint8)
    core.queue.submit(core.image, DISC)
    assert "stack" in core.messages[-1]
    assert not core.queue.worker.busy


def test_targets_are_independent(core: Core) -> None:
    core.submit(TARGETS["cup"])
    disc = core.submit()
    core.choices.set_choice(TARGETS["cup"], ModelChoice(no_adapter=True))
    assert core.queue.blocking_reason(disc) == ""


def test_device_is_described(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    info = DeviceInfo("Runs on cpu in float32.")
    monkeypatch.setattr(core.queue.engine, "describe", lambda compute, report: info)
    with core.qtbot.waitSignal(core.queue.device_ready, timeout=5000) as signal:
        core.queue.describe_device()
        core.queue.cancel()  # cancels no description
    assert signal.args == [info]


def test_errors_are_listed_by_target() -> None:
    errors = RequestErrors()
    errors.add(("a", "disc"), "one")
    errors.add(("a", "cup"), "two")
    errors.add(("b", "disc"), "three")
    assert errors.of_image("a") == "disc: one\ncup: two"
    errors.clear(("a", "disc"))
    assert errors.of_image("a") == "cup: two"


def test_cup_is_looked_for_in_the_disc_of_the_viewer(core: Core) -> None:
    cup = TARGETS["cup"]
    assert core.queue.make_request(core.image, cup).outer_mask is None
    disc = add_mask(core.viewer, core.image, DISC)
    assert core.queue.make_request(core.image, cup).outer_mask is None  # nothing is painted
    disc.data[60:90, 70:100] = 1
    mask = core.queue.make_request(core.image, cup).outer_mask
    np.testing.assert_array_equal(mask, disc.data > 0)
    assert core.queue.make_request(core.image, DISC).outer_mask is None
