"""Flip averaging: everything is mirrored with the image, and turned back."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.predictor import Prediction
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.tta import FLIPS, flip_image, flip_prompts, predict_with_flips
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings

SHAPE = (7, 10)
PIXELS = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
MASK = np.zeros(SHAPE, bool)
MASK[1:6, 2:9] = True
SCENE = PreparedImage.of(PIXELS, field=FieldOfView(MASK, (5.0, 2.5), 6.5, "region"))
PROMPTS = Prompts(
    (PointPrompt(3, 2), PointPrompt(7.5, 4, positive=False)),
    box=(2, 1, 6.5, 4),
    mask=np.eye(*SHAPE) > 0,
)
WHOLE = GeometrySettings()


@dataclass
class Painter:
    """Stands for a predictor: paints what it sees, so that a slip in any mapping shows."""

    lean: float = 0.0
    windows: list[int] = field(default_factory=lambda: [2, 2, 2, 2])
    asked: int = 0

    def predict(self, prepared, geometry, prompts, *, progress) -> Prediction:
        total = self.windows[self.asked]
        for done in range(total + 1):
            progress(done, total)
        self.asked += 1
        painted = prepared.pixels[..., 1] / 1000 + 0.1 * prepared.field.mask
        painted += 0.05 * prompts.mask
        x0, y0, x1, y1 = prompts.box
        rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
        painted += 0.1 * ((rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1))
        x, y = prepared.field.center
        painted += 0.01 * np.hypot(rows - y, columns - x)
        for click in prompts.points:
            near = np.exp(-np.hypot(rows - click.y, columns - click.x))
            painted += (0.2 if click.positive else -0.1) * near
        painted += self.lean * columns
        return Prediction(painted.astype(np.float32), 0.1 * self.asked)


def ask(painter: Painter, seen: list[tuple[int, int]] | None = None) -> Prediction:
    steps: list[tuple[int, int]] = [] if seen is None else seen

    def progress(done: int, total: int) -> None:
        steps.append((done, total))

    return predict_with_flips(painter, SCENE, WHOLE, PROMPTS, progress=progress)


def test_a_network_that_knows_no_direction_answers_as_without_flips() -> None:
    plain = Painter().predict(SCENE, WHOLE, PROMPTS, progress=lambda done, total: None)
    answer = ask(Painter())
    assert answer.probabilities.dtype == np.float32
    np.testing.assert_allclose(answer.probabilities, plain.probabilities, atol=1e-6)


def test_what_leans_to_one_side_is_evened_out() -> None:
    """A column's own weight 0.01·x becomes the mean of both sides', the same everywhere."""
    flat = ask(Painter()).probabilities + 0.01 * (SHAPE[1] - 1) / 2
    np.testing.assert_allclose(ask(Painter(lean=0.01)).probabilities, flat, atol=1e-6)


def test_expected_iou_is_the_mean_of_four() -> None:
    assert ask(Painter()).iou == pytest.approx(0.25)


def test_progress_runs_once_over_all_four() -> None:
    seen: list[tuple[int, int]] = []
    ask(Painter(), seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)


@pytest.mark.parametrize(("sideways", "upside_down"), FLIPS)
def test_twice_is_the_same_again(sideways: bool, upside_down: bool) -> None:
    def flipped(prepared: PreparedImage) -> PreparedImage:
        return flip_image(prepared, sideways=sideways, upside_down=upside_down)

    back = flipped(flipped(SCENE))
    assert back.key == SCENE.key
    assert back.field.center == SCENE.field.center
    np.testing.assert_array_equal(back.field.mask, MASK)
    prompts = PROMPTS
    for _ in range(2):
        prompts = flip_prompts(prompts, SHAPE, sideways=sideways, upside_down=upside_down)
    assert (prompts.points, prompts.box) == (PROMPTS.points, PROMPTS.box)
    np.testing.assert_array_equal(prompts.mask, PROMPTS.mask)


def test_a_mirror_image_is_another_image_in_the_same_kind_of_field() -> None:
    mirrored = flip_image(SCENE, sideways=True, upside_down=False)
    assert mirrored.key != SCENE.key
    assert mirrored.field.center == (4.0, 2.5)
    assert (mirrored.field.diameter, mirrored.field.found) == (6.5, "region")


def test_nothing_said_stays_nothing() -> None:
    assert flip_prompts(Prompts(), SHAPE, sideways=True, upside_down=True).empty


def test_a_click_on_the_corner_pixel_stays_on_it() -> None:
    clicks = Prompts((PointPrompt(0, 0),))
    (click,) = flip_prompts(clicks, SHAPE, sideways=True, upside_down=True).points
    assert (click.x, click.y) == (9, 6)
