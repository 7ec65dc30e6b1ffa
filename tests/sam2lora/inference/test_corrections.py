"""A click is an order: the clicked pixel becomes right, and what is not connected to it stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference.corrections import (
    WINDOW_SIZES,
    ClickCorrector,
    click_window,
    decode_margins,
    encode_margins,
    margins_of,
    merge,
)
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.click_refiner import ClickRefiner, RefinerKind
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import GeometrySettings
from sam2lora.types import Mask

SHAPE = (120, 150)
TILES, ZOOM = GeometrySettings(detail="tiles"), GeometrySettings(detail="zoom")


def disk(x: float, y: float, radius: float) -> Mask:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(columns - x, rows - y) <= radius


@pytest.fixture
def prepared() -> PreparedImage:
    pixels = np.full((*SHAPE, 3), 120, np.uint8)
    return PreparedImage.of(pixels, field=field_of_view_from_mask(disk(75, 60, 58)))


class Stand(ClickRefiner):
    """Stands in for a trained refiner: it adds a value everywhere, or what it is told."""

    def __init__(self, change: float) -> None:
        super().__init__((8, 8))
        self.added = change
        self.clicks: torch.Tensor | None = None

    def forward(
        self, images: torch.Tensor, margins: torch.Tensor, clicks: torch.Tensor
    ) -> torch.Tensor:
        self.clicks = clicks
        return margins + self.added


def corrected(
    refiner: ClickRefiner,
    prepared: PreparedImage,
    values: NDArray[np.float32],
    clicks: list[PointPrompt],
    kind: RefinerKind,
    *,
    threshold: float = 0.5,
    possible: Mask | None = None,
) -> NDArray[np.float32]:
    corrector = ClickCorrector({kind: refiner}, device=torch.device("cpu"), precision="float32")
    geometry = TILES if kind == "fine" else ZOOM
    return corrector.correct(
        prepared, values, clicks, geometry, kind=kind, threshold=threshold, possible=possible
    )


def probabilities(mask: Mask) -> NDArray[np.float32]:
    return np.where(mask, 0.9, 0.1).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("positive", [True, False])
def test_click_is_honoured_by_an_untrained_refiner(
    prepared: PreparedImage, threshold: float, positive: bool
) -> None:
    values = np.full(SHAPE, 0.01 if positive else 0.99, np.float32)
    click = PointPrompt(70.4, 51.6, positive=positive)
    after = corrected(ClickRefiner(), prepared, values, [click], "fine", threshold=threshold)
    assert (after[52, 70] >= threshold) == positive
    changed = after != values
    assert 0 < changed.sum() < 200
    assert changed[45:60, 60:80].sum() == changed.sum()


def test_right_click_on_a_right_pixel_changes_nothing(prepared: PreparedImage) -> None:
    values = probabilities(disk(70, 50, 20))
    click = PointPrompt(70, 50)
    after = corrected(ClickRefiner(), prepared, values, [click], "compact")
    np.testing.assert_array_equal(after, values)


def test_only_what_is_connected_to_the_click_changes(prepared: PreparedImage) -> None:
    near, far = disk(60, 60, 8), disk(95, 60, 8)
    values = np.where(near | far, 0.45, 0.05).astype(np.float32)
    click = PointPrompt(60, 60)
    after = corrected(Stand(1.0), prepared, values, [click], "fine")
    np.testing.assert_array_equal(after >= 0.5, near)
    np.testing.assert_array_equal(after[~near], values[~near])


def test_change_against_the_direction_of_the_click_is_ignored(prepared: PreparedImage) -> None:
    values = probabilities(disk(60, 60, 8))
    click = PointPrompt(90, 60)
    after = corrected(Stand(-9.0), prepared, values, [click], "fine")
    assert (after >= 0.5)[disk(60, 60, 8)].all()
    assert after[60, 90] >= 0.5


def test_nothing_outside_the_field_of_view_changes(prepared: PreparedImage) -> None:
    values = np.full(SHAPE, 0.45, np.float32)
    click = PointPrompt(75, 4)
    after = corrected(Stand(9.0), prepared, values, [click], "fine")
    outside = ~prepared.field.mask
    np.testing.assert_array_equal(after[outside], values[outside])
    assert after[4, 75] >= 0.5


@pytest.mark.parametrize("kind", ["fine", "compact"])
@pytest.mark.parametrize("place", [(75, 2), (75, 118), (17, 60), (133, 60)])
def test_click_on_the_rim_of_the_field_is_honoured_with_the_mask_everywhere(
    prepared: PreparedImage, kind: RefinerKind, place: tuple[int, int]
) -> None:
    values = np.where(prepared.field.mask, 0.9, 0.0).astype(np.float32)
    click = PointPrompt(*place, positive=False)
    after = corrected(Stand(0.0), prepared, values, [click], kind)
    assert after[place[1], place[0]] < 0.5
    assert (after != values).sum() < 200


@pytest.mark.parametrize("x", [100, 300, 480])
def test_click_far_from_the_mask_in_a_montage_is_honoured(x: int) -> None:
    mask = np.zeros((120, 500), np.bool_)
    mask[5:115, 5:495] = True
    field = replace(field_of_view_from_mask(mask), diameter=100.0, found="region")
    montage = PreparedImage.of(np.full((120, 500, 3), 120, np.uint8), field=field)
    values = np.full(mask.shape, 0.1, np.float32)
    values[40:80, 10:60] = 0.9
    after = corrected(Stand(0.0), montage, values, [PointPrompt(x, 60)], "compact")
    assert after[60, x] >= 0.5
    np.testing.assert_array_equal(after[:, :60], values[:, :60])


def test_nothing_changes_where_the_target_cannot_be_unless_it_is_clicked(
    prepared: PreparedImage,
) -> None:
    disc = disk(75, 60, 15)
    values = np.full(SHAPE, 0.45, np.float32)
    inside = corrected(Stand(2.0), prepared, values, [PointPrompt(75, 60)], "fine", possible=disc)
    np.testing.assert_array_equal(inside >= 0.5, disc)
    beyond = corrected(Stand(2.0), prepared, values, [PointPrompt(110, 60)], "fine", possible=disc)
    assert beyond[60, 110] >= 0.5


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.55, 0.7, 0.9])
def test_margins_are_on_the_side_of_the_threshold_of_their_probability(threshold: float) -> None:
    least = np.float32(threshold)
    steps = [least, np.nextafter(least, np.float32(0)), np.nextafter(least, np.float32(1))]
    values = np.array([steps], np.float32)
    np.testing.assert_array_equal(margins_of(values, threshold) >= 0, values >= threshold)


def test_refiner_sees_the_clicks_of_its_window_with_the_newest_last(
    prepared: PreparedImage,
) -> None:
    refiner = Stand(0.0)
    clicks = [PointPrompt(20, 60), PointPrompt(70, 60, positive=False), PointPrompt(75, 60)]
    values = probabilities(disk(75, 60, 20))
    corrected(refiner, prepared, values, clicks, "fine")
    assert refiner.clicks is not None
    on, off, newest = refiner.clicks[0].numpy()
    middle = WINDOW_SIZES["fine"] // 2
    assert newest[middle, middle] == 1
    assert on[:, : middle - 60].sum() == 0  # the first click is beyond the window
    assert off[middle, : middle - 20].any()
    assert set(np.unique(newest)) == {0, 1}


def test_window_of_a_compact_target_holds_it(prepared: PreparedImage) -> None:
    small = click_window(PointPrompt(70, 60), prepared.field, ZOOM, disk(70, 60, 5))
    large = click_window(PointPrompt(100, 60), prepared.field, ZOOM, disk(70, 60, 30))
    assert small.width < ZOOM.zoom_share * prepared.field.diameter
    assert large.width >= 1.6 * 60
    middle = WINDOW_SIZES["compact"] / 2 - 0.5
    assert small.to_network(np.array([70.0, 60.0])) == pytest.approx([middle, middle])
    assert large.to_network(np.array([70.0, 60.0])) == pytest.approx([middle, middle], abs=1)


def test_window_of_a_compact_target_leaves_out_another_part(prepared: PreparedImage) -> None:
    alone = click_window(PointPrompt(70, 60), prepared.field, ZOOM, disk(70, 60, 9))
    parts = disk(70, 60, 9) | disk(30, 60, 2)
    assert click_window(PointPrompt(70, 60), prepared.field, ZOOM, parts) == alone


def test_bytes_keep_margins_to_a_sixteenth() -> None:
    values = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    margins = margins_of(values, 0.3)
    assert np.isfinite(margins).all()
    assert np.abs(decode_margins(encode_margins(values, 0.3)) - margins).max() <= 1 / 16 / 2 + 1e-4


def test_merge_takes_the_part_nearest_to_the_click() -> None:
    before = np.full((20, 20), -1, np.float32)
    refined = before.copy()
    refined[4:7, 4:7] = refined[4:7, 12:15] = 2
    merged = merge(before, refined, (5, 10), positive=True, radius=4, valid=np.ones((20, 20), bool))
    assert merged[5, 13] == 2
    assert merged[5, 5] == -1
    assert merged[5, 10] > 0  # the pixel itself is forced
