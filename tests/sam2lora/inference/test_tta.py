"""Test-time augmentation: prompts and field are mirrored with the image, predictions back."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.predictor import Prediction
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.tta import FLIPS, flip_image, flip_prompts, predict_augmented
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings

SHAPE = (17, 20)
PIXELS = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
MASK = np.zeros(SHAPE, bool)
MASK[1:6, 2:9] = True
PREPARED = PreparedImage.of(PIXELS, field=FieldOfView(MASK, (5.0, 2.5), 6.5, "region"))
PROMPTS = Prompts(
    (PointPrompt(3, 2), PointPrompt(7.5, 4, positive=False)),
    box=(2, 1, 6.5, 4),
    mask=np.eye(*SHAPE) > 0,
)
WHOLE = GeometrySettings()


@dataclass
class Painter:
    """Stands in for a predictor: its prediction shows all its inputs, and so any wrong mapping."""

    bias: float = 0.0
    windows: list[int] = field(default_factory=lambda: [2, 2, 2, 2])
    calls: int = 0

    def predict(self, prepared, geometry, prompts, *, inside=None, progress) -> Prediction:
        total = self.windows[self.calls]
        for done in range(total + 1):
            progress(done, total)
        self.calls += 1
        painted = prepared.pixels[..., 1] / 1000 + 0.1 * prepared.field.mask
        painted += 0.05 * prompts.mask
        x0, y0, x1, y1 = prompts.box
        rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
        painted += 0.1 * ((rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1))
        x, y = prepared.field.center
        painted += 0.01 * np.hypot(rows - y, columns - x)
        for point in prompts.points:
            near = np.exp(-np.hypot(rows - point.y, columns - point.x))
            painted += (0.2 if point.positive else -0.1) * near
        painted += self.bias * columns
        return Prediction(painted.astype(np.float32), 0.1 * self.calls)


def predict(painter: Painter, seen: list[tuple[int, int]] | None = None) -> Prediction:
    steps: list[tuple[int, int]] = [] if seen is None else seen

    def progress(done: int, total: int) -> None:
        steps.append((done, total))

    return predict_augmented(painter, PREPARED, WHOLE, PROMPTS, flips=True, progress=progress)


def test_equivariant_network_predicts_the_same_with_flips() -> None:
    plain = Painter().predict(PREPARED, WHOLE, PROMPTS, progress=lambda done, total: None)
    prediction = predict(Painter())
    assert prediction.probabilities.dtype == np.float32
    np.testing.assert_allclose(prediction.probabilities, plain.probabilities, atol=1e-6)


def test_directional_bias_is_averaged_out() -> None:
    """A bias of 0.01·x becomes its mean over both directions, the same in each column."""
    flat = predict(Painter()).probabilities + 0.01 * (SHAPE[1] - 1) / 2
    np.testing.assert_allclose(predict(Painter(bias=0.01)).probabilities, flat, atol=1e-6)


def test_predicted_iou_is_the_mean_of_four() -> None:
    assert predict(Painter()).iou == pytest.approx(0.25)


def test_progress_covers_all_four_predictions() -> None:
    seen: list[tuple[int, int]] = []
    predict(Painter(), seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)


@dataclass
class Scaler:
    """Stands in for a predictor: its prediction is the diameter of the field of view."""

    sizes: list[int] = field(default_factory=list)

    def predict(self, prepared, geometry, prompts, *, inside=None, progress) -> Prediction:
        self.sizes.append(geometry.field_size)
        progress(0, geometry.field_size)
        return Prediction(np.full(SHAPE, geometry.field_size / 10_000, np.float32), 0.5)


def test_predictions_at_several_scales_are_averaged() -> None:
    scaler, seen = Scaler(), []
    tiles = GeometrySettings(detail="tiles", field_size=1600)
    result = predict_augmented(
        *(scaler, PREPARED, tiles, Prompts()),
        field_sizes=(1000, 1400),
        progress=lambda done, total: seen.append(done / total),
    )
    assert scaler.sizes == [1000, 1400]
    assert seen == [0, 0.5]
    np.testing.assert_allclose(result.probabilities, 0.12, atol=1e-6)


def test_one_scale_replaces_that_of_the_geometry() -> None:
    scaler, tiles = Scaler(), GeometrySettings(detail="tiles", field_size=1600)
    predict_augmented(scaler, PREPARED, tiles, Prompts())
    predict_augmented(scaler, PREPARED, tiles, Prompts(), field_sizes=(880,))
    predict_augmented(scaler, PREPARED, WHOLE, Prompts(), field_sizes=(880, 1240))
    assert scaler.sizes == [1600, 880, 1600], "only tiles have a scale"
    predict_augmented(scaler, PREPARED, tiles, Prompts(), field_sizes=(880, 1240), flips=True)
    assert scaler.sizes[3:] == [880] * 4 + [1240] * 4


@pytest.mark.parametrize(("sideways", "upside_down"), FLIPS)
def test_flipping_twice_restores_image_and_prompts(sideways: bool, upside_down: bool) -> None:
    def flipped(prepared: PreparedImage) -> PreparedImage:
        return flip_image(prepared, sideways=sideways, upside_down=upside_down)

    back = flipped(flipped(PREPARED))
    assert back.key == PREPARED.key
    assert back.field.center == PREPARED.field.center
    np.testing.assert_array_equal(back.field.mask, MASK)
    prompts = PROMPTS
    for _ in range(2):
        prompts = flip_prompts(prompts, SHAPE, sideways=sideways, upside_down=upside_down)
    assert (prompts.points, prompts.box) == (PROMPTS.points, PROMPTS.box)
    np.testing.assert_array_equal(prompts.mask, PROMPTS.mask)


def test_mirror_image_has_its_own_key_and_a_mirrored_field() -> None:
    mirrored = flip_image(PREPARED, sideways=True, upside_down=False)
    assert mirrored.key != PREPARED.key
    assert mirrored.field.center == (14.0, 2.5)
    assert (mirrored.field.diameter, mirrored.field.found) == (6.5, "region")


def test_flipped_empty_prompts_are_empty() -> None:
    assert flip_prompts(Prompts(), SHAPE, sideways=True, upside_down=True).empty


def test_point_on_the_corner_pixel_moves_to_the_opposite_corner() -> None:
    points = Prompts((PointPrompt(0, 0),))
    (point,) = flip_prompts(points, SHAPE, sideways=True, upside_down=True).points
    assert (point.x, point.y) == (19, 16)
