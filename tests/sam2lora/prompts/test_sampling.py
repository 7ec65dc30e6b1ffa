"""Prompts drawn from masks: on the target, off it, as many as asked, and the same by seed."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from sam2lora.errors import GeometryError
from sam2lora.prompts.prompt_batch import PromptBatch, mask_to_logits
from sam2lora.prompts.sampling import REGIMES, Regime, sample_prompts, sample_training_prompts
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import PromptSamplingSettings

SIDE = 96
ROWS, COLUMNS = np.ogrid[:SIDE, :SIDE]


def ellipse(x: float, y: float, a: float, b: float) -> np.ndarray:
    return ((COLUMNS - x) / a) ** 2 + ((ROWS - y) / b) ** 2 <= 1


def capillary() -> np.ndarray:
    """Give a vessel one pixel wide, which any erosion empties."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[np.arange(5, 90), np.arange(5, 90) // 2 + 20] = True
    return mask


def dots(*pixels: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for row, column in pixels:
        mask[row, column] = True
    return mask


FIELD = ellipse(48, 48, 45, 45)
MASKS = {
    "capillary": capillary(),
    "disc": ellipse(30, 40, 9, 12),
    "two parts": ellipse(30, 40, 5, 5) | ellipse(70, 60, 3, 8),
    "across the rim": ellipse(5, 48, 12, 12),
    "at the edge": ellipse(0, 0, 20, 20),
    "nearly everything": FIELD & ~ellipse(48, 48, 1, 1),
}
ONLY = dict.fromkeys(PromptSamplingSettings().weights, 0.0)


def only(kind: str, **settings: object) -> PromptSamplingSettings:
    return PromptSamplingSettings.model_validate({**ONLY, kind: 1, **settings})


def at(click: PointPrompt, mask: np.ndarray) -> bool:
    return bool(mask[round(click.y), round(click.x)])


def places(prompts: Prompts) -> list[tuple[float, float]]:
    return [(click.x, click.y) for click in prompts.points]


def same(one: Prompts, other: Prompts) -> bool:
    masks = (one.mask is None) == (other.mask is None)
    if one.mask is not None and other.mask is not None:
        masks = np.array_equal(one.mask, other.mask)
    return one.points == other.points and one.box == other.box and masks


def test_the_seven_regimes() -> None:
    counts = {one.name: (one.positive, one.negative, one.box) for one in REGIMES.values()}
    assert counts == {
        "none": (0, 0, False),
        "1p": (1, 0, False),
        "2p": (2, 0, False),
        "5p": (5, 0, False),
        "5p1n": (5, 1, False),
        "box": (0, 0, True),
        "5p1n+box": (5, 1, True),
    }
    assert list(counts) == list(REGIMES)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("regime", REGIMES.values(), ids=list(REGIMES))
def test_a_regime_holds_what_it_says(regime: Regime, name: str) -> None:
    mask, rng = MASKS[name], np.random.default_rng(0)
    for valid in (None, FIELD) if name != "at the edge" else (None,):
        for _ in range(40):
            prompts = sample_prompts(mask, regime, rng, valid=valid)
            labels = [click.positive for click in prompts.points]
            assert labels == [True] * regime.positive + [False] * regime.negative
            assert all(at(click, mask) == click.positive for click in prompts.points)
            assert len(set(places(prompts))) == len(labels)
            assert (prompts.box is not None) == regime.box
            assert prompts.mask is None
            prompts.check_inside(np.ones_like(mask) if valid is None else valid)


def test_points_prefer_the_inside_of_what_they_lie_on() -> None:
    mask = ellipse(48, 48, 20, 20)
    depth = ndimage.distance_transform_edt(mask)
    rng = np.random.default_rng(0)
    drawn = [sample_prompts(mask, REGIMES["5p"], rng) for _ in range(200)]
    depths = [depth[int(click.y), int(click.x)] for one in drawn for click in one.points]
    assert np.mean(depths) > 1.2 * depth[mask].mean()
    assert np.mean(np.array(depths) < 2) < 0.5 * np.mean(depth[mask] < 2)


def test_points_reach_every_part() -> None:
    rng = np.random.default_rng(0)
    mask = MASKS["two parts"]
    drawn = [sample_prompts(mask, REGIMES["1p"], rng).points[0] for _ in range(200)]
    right = np.mean([click.x > 50 for click in drawn])
    assert right == pytest.approx(mask[:, 50:].sum() / mask.sum(), abs=0.1)


def test_points_off_the_target_are_mostly_near_it() -> None:
    mask = MASKS["disc"]
    away = ndimage.distance_transform_edt(~mask)
    rng = np.random.default_rng(0)
    drawn = [sample_prompts(mask, REGIMES["5p1n"], rng, valid=FIELD).points[5] for _ in range(200)]
    distances = np.array([away[int(click.y), int(click.x)] for click in drawn])
    assert np.mean(distances <= SIDE / 16) > 0.75
    assert distances.max() > SIDE / 4


def test_too_few_pixels_repeat_only_as_far_as_needed() -> None:
    rng = np.random.default_rng(0)
    three = [(10, 10), (50, 50), (80, 20)]
    for pixels in ([(10, 10)], three, [*three, (3, 3), (60, 70)]):
        drawn = places(sample_prompts(dots(*pixels), REGIMES["5p"], rng))
        assert len(drawn) == 5
        assert {(y, x) for x, y in drawn} == set(pixels)


def test_few_places_off_the_target() -> None:
    mask = ~dots((4, 5), (60, 61))
    drawn = sample_prompts(mask, Regime("", negative=3), np.random.default_rng(0))
    assert len(drawn.points) == 3
    assert set(places(drawn)) == {(5, 4), (61, 60)}


def test_a_box_holds_all_parts_and_no_more() -> None:
    mask = dots((10, 20), (30, 25), (90, 40))
    box = sample_prompts(mask, REGIMES["box"], np.random.default_rng(0)).box
    assert box == (20, 10, 40, 90)


def test_a_box_of_one_pixel_is_as_wide_as_the_pixel() -> None:
    rng = np.random.default_rng(0)
    assert sample_prompts(dots((0, 95)), REGIMES["box"], rng).box == (94.5, -0.5, 95.5, 0.5)


def test_a_jittered_box_is_never_smaller_than_a_pixel() -> None:
    mask = np.zeros((9, 9), bool)
    mask[8, 7:] = True
    for seed in range(50):
        drawn = sample_prompts(mask, REGIMES["box"], np.random.default_rng(seed), jitter=0.3)
        assert drawn.box is not None
        x0, y0, x1, y1 = drawn.box
        assert min(x1 - x0, y1 - y0) == pytest.approx(1) or min(x1 - x0, y1 - y0) > 1
        assert min(x0, y0) >= -0.5
        assert max(x1, y1) <= 8.5


def test_a_box_is_moved_by_its_share_and_stays_inside() -> None:
    mask, rng = MASKS["disc"], np.random.default_rng(0)
    plain = np.array(sample_prompts(mask, REGIMES["box"], rng).box)
    boxes = [sample_prompts(mask, REGIMES["box"], rng, jitter=0.1).box for _ in range(200)]
    shift = np.abs(np.array(boxes) - plain) / np.tile(plain[2:] - plain[:2], 2)
    assert 0.08 < shift.max() <= 0.1 + 1e-9
    whole = [
        sample_prompts(np.ones((9, 9), bool), REGIMES["box"], rng, jitter=0.3).box
        for _ in range(99)
    ]
    assert np.min(whole) == -0.5
    assert np.max(whole) == 8.5


def test_nothing_to_draw_from_is_said() -> None:
    rng, empty, full = np.random.default_rng(0), np.zeros((9, 9), bool), np.ones((9, 9), bool)
    assert sample_prompts(empty, REGIMES["none"], rng).empty
    with pytest.raises(GeometryError, match="empty inside the field of view"):
        sample_prompts(empty, REGIMES["1p"], rng)
    with pytest.raises(GeometryError, match="empty inside the field of view"):
        sample_prompts(full, REGIMES["box"], rng, valid=empty)
    with pytest.raises(GeometryError, match="covers the whole field"):
        sample_prompts(full, REGIMES["5p1n"], rng)
    with pytest.raises(GeometryError, match=r"\(9, 9\) and \(9, 8\)"):
        sample_prompts(full, REGIMES["1p"], rng, valid=full[:, :8])


def test_what_cannot_be_drawn_is_left_out_of_training() -> None:
    rng, empty, full = np.random.default_rng(0), np.zeros((9, 9), bool), np.ones((9, 9), bool)
    drawn = [sample_training_prompts(empty, PromptSamplingSettings(), rng) for _ in range(200)]
    assert all(one.box is None and one.mask is None for one in drawn)
    assert not any(click.positive for one in drawn for click in one.points)
    assert any(one.points for one in drawn)
    for mix in (PromptSamplingSettings(), only("points", positive=(0, 0), negative=(2, 2))):
        for _ in range(100):
            drawn_one = sample_training_prompts(full, mix, rng)
            assert all(click.positive for click in drawn_one.points)
    assert sample_training_prompts(full, PromptSamplingSettings(), rng, valid=empty).empty


def test_the_mix_is_drawn_as_often_as_it_says() -> None:
    rng, mask = np.random.default_rng(0), MASKS["disc"]
    mix = PromptSamplingSettings(
        none=5, points=2, box=1, box_and_points=0, previous=2, positive=(1, 5)
    )
    drawn = [sample_training_prompts(mask, mix, rng) for _ in range(2000)]
    shares = {
        "none": np.mean([one.empty for one in drawn]),
        "box": np.mean([one.box is not None and not one.points for one in drawn]),
        "previous": np.mean([one.mask is not None for one in drawn]),
        "both": np.mean([one.box is not None and bool(one.points) for one in drawn]),
    }
    assert shares == pytest.approx({"none": 0.5, "box": 0.1, "previous": 0.2, "both": 0}, abs=0.04)


def test_points_for_training_are_as_many_as_the_mix_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_training_prompts(MASKS["disc"], only("points"), rng) for _ in range(400)]
    counts = {
        (sum(click.positive for click in one.points), sum(not c.positive for c in one.points))
        for one in drawn
    }
    assert counts == {(p, n) for p in range(6) for n in range(3)} - {(0, 0)}
    five = only("points", positive=(5, 5), negative=(0, 0))
    for _ in range(20):
        labels = [c.positive for c in sample_training_prompts(MASKS["disc"], five, rng).points]
        assert labels == [True] * 5


def test_boxes_for_training_are_jittered_and_have_points_if_asked() -> None:
    rng = np.random.default_rng(0)
    boxes = {sample_training_prompts(MASKS["disc"], only("box"), rng).box for _ in range(9)}
    assert len(boxes) == 9
    both = only("box_and_points", positive=(3, 3), box_jitter=0)
    drawn = sample_training_prompts(MASKS["disc"], both, rng)
    assert drawn.box == (21, 28, 39, 52)
    assert sum(click.positive for click in drawn.points) == 3


@pytest.mark.parametrize("name", [name for name, mask in MASKS.items() if (mask & FIELD).any()])
def test_a_previous_answer_is_wrong_and_clicks_are_where_it_is(name: str) -> None:
    rng, mask = np.random.default_rng(0), MASKS[name] & FIELD
    wrong = clicks = 0
    for _ in range(60):
        drawn = sample_training_prompts(MASKS[name], only("previous"), rng, valid=FIELD)
        answer = np.zeros_like(mask) if drawn.mask is None else drawn.mask
        assert drawn.box is None
        assert not (answer & ~FIELD).any()
        assert all(at(click, mask) == click.positive for click in drawn.points)
        assert all(at(click, answer) != click.positive for click in drawn.points)
        assert len(set(places(drawn))) == len(drawn.points) <= 3
        wrong += not np.array_equal(answer, mask)
        clicks += len(drawn.points)
    assert wrong > 45
    assert clicks > 45


@pytest.mark.parametrize("name", MASKS)
def test_one_seed_repeats_and_two_differ(name: str) -> None:
    def some(seed: int) -> list[Prompts]:
        rng = np.random.default_rng(seed)
        return [
            *(
                sample_training_prompts(MASKS[name], PromptSamplingSettings(), rng)
                for _ in range(30)
            ),
            *(sample_prompts(MASKS[name], regime, rng) for regime in REGIMES.values()),
        ]

    assert all(map(same, some(1), some(1)))
    assert sum(map(same, some(1), some(2))) < 25


def test_masks_are_left_as_they_are() -> None:
    mask, field, rng = MASKS["disc"].copy(), FIELD.copy(), np.random.default_rng(0)
    for kind in ONLY:
        for _ in range(20):
            sample_training_prompts(mask, only(kind), rng, valid=field)
    assert np.array_equal(mask, MASKS["disc"])
    assert np.array_equal(field, FIELD)


def test_the_network_takes_all_that_is_drawn() -> None:
    import torch

    rng = np.random.default_rng(0)
    for kind in ONLY:
        drawn = sample_training_prompts(MASKS["disc"], only(kind, positive=(1, 5)), rng)
        logits = None
        if drawn.mask is not None:
            logits = mask_to_logits(torch.from_numpy(drawn.mask)[None, None], size=24)[0, 0]
        prompts = PromptBatch.single(
            points=[(click.x, click.y) for click in drawn.points],
            labels=[click.positive for click in drawn.points],
            box=drawn.box,
            mask_logits=logits,
        )
        assert prompts.shape_key == (len(drawn.points), "box" in kind, kind == "previous")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ONLY, "no kind of prompt"),
        ({"positive": (5, 1)}, "fewest and the most"),
        ({"negative": (-1, 1)}, "fewest and the most"),
        ({"box_jitter": 0.5}, "less than or equal to 0.3"),
        ({"none": float("nan")}, "finite"),
        ({"six_points": 1}, "Extra inputs"),
    ],
)
def test_impossible_mixes_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PromptSamplingSettings.model_validate(settings)


def test_a_mix_that_always_prompts_finds_something_to_say_of_an_empty_mask() -> None:
    rng, empty = np.random.default_rng(0), np.zeros((9, 9), bool)
    for _ in range(100):
        drawn = sample_training_prompts(empty, PromptSamplingSettings().always(), rng)
        assert drawn.points
        assert not any(click.positive for click in drawn.points)
