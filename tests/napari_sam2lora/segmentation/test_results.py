"""Results are shown as previews, thresholded, measured and accepted."""

import numpy as np
import pytest
from napari.layers import Labels

from sam2lora.errors import GeometryError
from sam2lora.targets import TARGETS

from ..segmentation_window import fundus
from .conftest import DISC, Core, make_result

KEY = ("photo", "disc")


def test_result_is_shown_as_preview_at_the_adapters_threshold(core: Core) -> None:
    result = core.submit()
    preview = core.results.previews.find(KEY)
    np.testing.assert_array_equal(preview.data, result.prediction.probabilities)
    assert core.results.threshold(KEY) == 0.5
    assert core.results.chosen_threshold(KEY) is None
    assert core.results.mask(KEY).any()


def test_threshold_of_the_user_outlives_the_next_result(core: Core) -> None:
    core.submit()
    with core.qtbot.waitSignal(core.results.threshold_changed, timeout=1000) as signal:
        core.results.set_threshold(KEY, 0.9)
    assert signal.args == [KEY]
    assert not core.results.mask(KEY).any()
    core.submit()
    assert core.results.chosen_threshold(KEY) == 0.9


def test_accepted_result_becomes_the_mask_and_hides_its_preview(core: Core) -> None:
    core.submit()
    labels = core.results.accept(core.image, DISC, "replace")
    np.testing.assert_array_equal(labels.data != 0, core.results.mask(KEY))
    assert not core.results.previews.find(KEY).visible
    labels.undo()
    assert not labels.data.any()


@pytest.mark.parametrize(
    ("mode", "inside", "outside"), [("replace", 7, 0), ("add", 2, 7), ("empty", 7, 7)]
)
def test_modes_of_accepting_differ_where_something_is_painted(
    core: Core, mode: str, inside: int, outside: int
) -> None:
    core.submit()
    labels = core.results.accept(core.image, DISC, "replace")
    labels.data = np.full_like(labels.data, 7)
    core.results.accept(core.image, DISC, mode)
    assert labels.data[100, 100] == inside
    assert labels.data[0, 0] == outside


def test_mask_of_another_size_is_not_written(core: Core) -> None:
    core.submit()
    metadata = {"sam2lora": {"image": "photo", "target": "disc"}}
    core.viewer.add_layer(Labels(np.zeros((9, 9), np.uint8), name="small", metadata=metadata))
    with pytest.raises(GeometryError, match="small has shape"):
        core.results.accept(core.image, DISC, "replace")


def test_outdated_preview_is_paler_and_recovers_its_opacity(core: Core) -> None:
    core.submit()
    preview = core.results.previews.find(KEY)
    preview.opacity = 0.6
    core.results.mark_outdated(KEY, outdated=True)
    core.results.mark_outdated(KEY, outdated=True)
    assert preview.opacity == pytest.approx(0.24)
    core.results.mark_outdated(KEY, outdated=False)
    assert preview.opacity == pytest.approx(0.6)


def test_closed_store_leaves_no_pale_preview(core: Core) -> None:
    core.submit()
    core.results.mark_outdated(KEY, outdated=True)
    core.results.close()
    assert core.results.previews.find(KEY).opacity == pytest.approx(0.6)


def test_results_of_closed_images_are_forgotten(make_core) -> None:
    core = make_core(fundus("left"), fundus("right", 1))
    core.submit()
    core.results.keep_only({"right"})
    assert core.results.latest == {}
    assert core.results.previews.find(("left", "disc")) is None


def test_results_return_with_their_image_until_they_are_accepted(core: Core) -> None:
    core.submit()
    image, key = core.image, KEY
    assert core.results.unaccepted() == [key]
    core.results.keep_only(())
    assert core.results.has_kept(key)
    (result,) = core.results.restore(image)
    assert core.results.latest == {key: result}
    assert core.results.previews.find(key).visible
    core.results.accept(image, DISC, "replace")
    assert core.results.unaccepted() == []
    core.results.keep_only(())
    assert core.results.restore(image) == []


def test_shown_previews_and_painted_masks_are_measured(core: Core) -> None:
    core.submit()
    cup = np.zeros((200, 200), np.uint8)
    cup[90:110, 95:105] = 3
    core.viewer.add_layer(Labels(cup, name="photo cup"))
    with core.qtbot.waitSignal(core.results.live_measurements.measured, timeout=5000) as signal:
        core.results.measure(core.image, DISC)
    (measured,) = signal.args
    assert measured.key == KEY
    assert measured.iou == 0.9
    assert measured.measurements.structures["cup"].area_px == 200
    assert measured.measurements.structures["disc"].area_px == core.results.mask(KEY).sum()


def test_hidden_preview_is_not_measured(core: Core) -> None:
    core.submit()
    core.results.previews.find(KEY).visible = False
    with core.qtbot.waitSignal(core.results.live_measurements.measured, timeout=5000) as signal:
        core.results.measure(core.image, DISC)
    assert "disc" not in signal.args[0].measurements.structures


def test_targets_of_one_image_have_results_of_their_own(core: Core) -> None:
    core.submit()
    request = core.queue.make_request(core.image, TARGETS["cup"])
    core.results.show(core.image, make_result(request, 0.6))
    assert set(core.results.latest) == {KEY, ("photo", "cup")}
