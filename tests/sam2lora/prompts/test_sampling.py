"""Prompts sampled from masks: positive and negative points, boxes, errors, reproducibility."""

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
    """Return a vessel one pixel wide, which any erosion empties."""
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


def is_on(point: PointPrompt, mask: np.ndarray) -> bool:
    return bool(mask[round(point.y), round(point.x)])


def coordinates(prompts: Prompts) -> list[tuple[float, float]]:
    return [(point.x, point.y) for point in prompts.points]


def same(one: Prompts, other: Prompts) -> bool:
    masks = (one.mask is None) == (other.mask is None)
    if one.mask is not None and other.mask is not None:
        masks = np.array_equal(one.mask, other.mask)
    return one.points == other.points and one.box == other.box and masks


def test_seven_regimes_have_their_points_and_boxes() -> None:
    counts = {
        regime.name: (regime.positive, regime.negative, regime.box) for regime in REGIMES.values()
    }
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
def test_sampled_prompts_match_their_regime(regime: Regime, name: str) -> None:
    mask, rng = MASKS[name], np.random.default_rng(0)
    for valid in (None, FIELD) if name != "at the edge" else (None,):
        for _ in range(40):
            prompts = sample_prompts(mask, regime, rng, valid=valid)
            labels = [point.positive for point in prompts.points]
            assert labels == [True] * regime.positive + [False] * regime.negative
            assert all(is_on(point, mask) == point.positive for point in prompts.points)
            assert len(set(coordinates(prompts))) == len(labels)
            assert (prompts.box is not None) == regime.box
            assert prompts.mask is None
            prompts.check_inside(np.ones_like(mask) if valid is None else valid)


def test_points_prefer_the_inside_of_a_structure() -> None:
    mask = ellipse(48, 48, 20, 20)
    depth = ndimage.distance_transform_edt(mask)
    rng = np.random.default_rng(0)
    sampled = [sample_prompts(mask, REGIMES["5p"], rng) for _ in range(200)]
    depths = [depth[int(point.y), int(point.x)] for prompts in sampled for point in prompts.points]
    assert np.mean(depths) > 1.2 * depth[mask].mean()
    assert np.mean(np.array(depths) < 2) < 0.5 * np.mean(depth[mask] < 2)


def test_points_reach_every_part() -> None:
    rng = np.random.default_rng(0)
    mask = MASKS["two parts"]
    sampled = [sample_prompts(mask, REGIMES["1p"], rng).points[0] for _ in range(200)]
    right = np.mean([point.x > 50 for point in sampled])
    assert right == pytest.approx(mask[:, 50:].sum() / mask.sum(), abs=0.1)


def test_negative_points_are_mostly_near_the_target() -> None:
    mask = MASKS["disc"]
    away = ndimage.distance_transform_edt(~mask)
    rng = np.random.default_rng(0)
    sampled = [
        sample_prompts(mask, REGIMES["5p1n"], rng, valid=FIELD).points[5] for _ in range(200)
    ]
    distances = np.array([away[int(point.y), int(point.x)] for point in sampled])
    assert np.mean(distances <= SIDE / 16) > 0.75
    assert distances.max() > SIDE / 4


def test_points_repeat_only_if_there_are_too_few_pixels() -> None:
    rng = np.random.default_rng(0)
    three = [(10, 10), (50, 50), (80, 20)]
    for pixels in ([(10, 10)], three, [*three, (3, 3), (60, 70)]):
        sampled = coordinates(sample_prompts(dots(*pixels), REGIMES["5p"], rng))
        assert len(sampled) == 5
        assert {(y, x) for x, y in sampled} == set(pixels)


def test_negative_points_repeat_if_there_are_too_few_pixels() -> None:
    mask = ~dots((4, 5), (60, 61))
    sampled = sample_prompts(mask, Regime("", negative=3), np.random.default_rng(0))
    assert len(sampled.points) == 3
    assert set(coordinates(sampled)) == {(5, 4), (61, 60)}


def test_box_contains_exactly_all_parts() -> None:
    mask = dots((10, 20), (30, 25), (90, 40))
    box = sample_prompts(mask, REGIMES["box"], np.random.default_rng(0)).box
    assert box == (20, 10, 40, 90)


def test_box_of_one_pixel_is_one_pixel_wide() -> None:
    rng = np.random.default_rng(0)
    assert sample_prompts(dots((0, 95)), REGIMES["box"], rng).box == (94.5, -0.5, 95.5, 0.5)


def test_jittered_box_is_never_smaller_than_a_pixel() -> None:
    mask = np.zeros((9, 9), bool)
    mask[8, 7:] = True
    for seed in range(50):
        sampled = sample_prompts(mask, REGIMES["box"], np.random.default_rng(seed), jitter=0.3)
        assert sampled.box is not None
        x0, y0, x1, y1 = sampled.box
        assert min(x1 - x0, y1 - y0) == pytest.approx(1) or min(x1 - x0, y1 - y0) > 1
        assert min(x0, y0) >= -0.5
        assert max(x1, y1) <= 8.5


def test_jitter_moves_the_box_by_its_share_within_the_image() -> None:
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


def test_impossible_regimes_are_refused() -> None:
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


def test_impossible_training_prompts_are_left_out() -> None:
    rng, empty, full = np.random.default_rng(0), np.zeros((9, 9), bool), np.ones((9, 9), bool)
    sampled = [sample_training_prompts(empty, PromptSamplingSettings(), rng) for _ in range(200)]
    assert all(prompts.box is None and prompts.mask is None for prompts in sampled)
    assert not any(point.positive for prompts in sampled for point in prompts.points)
    assert any(prompts.points for prompts in sampled)
    for mix in (PromptSamplingSettings(), only("points", positive=(0, 0), negative=(2, 2))):
        for _ in range(100):
            prompts = sample_training_prompts(full, mix, rng)
            assert all(point.positive for point in prompts.points)
    assert sample_training_prompts(full, PromptSamplingSettings(), rng, valid=empty).empty


def test_kinds_of_prompts_are_sampled_by_their_weights() -> None:
    rng, mask = np.random.default_rng(0), MASKS["disc"]
    mix = PromptSamplingSettings(
        none=5, points=2, box=1, box_and_points=0, previous=2, positive=(1, 5)
    )
    sampled = [sample_training_prompts(mask, mix, rng) for _ in range(2000)]
    shares = {
        "none": np.mean([prompts.empty for prompts in sampled]),
        "box": np.mean([prompts.box is not None and not prompts.points for prompts in sampled]),
        "previous": np.mean([prompts.mask is not None for prompts in sampled]),
        "both": np.mean([prompts.box is not None and bool(prompts.points) for prompts in sampled]),
    }
    assert shares == pytest.approx({"none": 0.5, "box": 0.1, "previous": 0.2, "both": 0}, abs=0.04)


def test_number_of_training_points_follows_the_settings() -> None:
    rng = np.random.default_rng(0)
    sampled = [sample_training_prompts(MASKS["disc"], only("points"), rng) for _ in range(400)]
    counts = {
        (
            sum(point.positive for point in prompts.points),
            sum(not point.positive for point in prompts.points),
        )
        for prompts in sampled
    }
    assert counts == {(p, n) for p in range(6) for n in range(3)} - {(0, 0)}
    five = only("points", positive=(5, 5), negative=(0, 0))
    for _ in range(20):
        labels = [c.positive for c in sample_training_prompts(MASKS["disc"], five, rng).points]
        assert labels == [True] * 5


def test_training_boxes_are_jittered_and_have_points_if_requested() -> None:
    rng = np.random.default_rng(0)
    boxes = {sample_training_prompts(MASKS["disc"], only("box"), rng).box for _ in range(9)}
    assert len(boxes) == 9
    both = only("box_and_points", positive=(3, 3), box_jitter=0)
    sampled = sample_training_prompts(MASKS["disc"], both, rng)
    assert sampled.box == (21, 28, 39, 52)
    assert sum(point.positive for point in sampled.points) == 3


@pytest.mark.parametrize("name", [name for name, mask in MASKS.items() if (mask & FIELD).any()])
def test_points_correct_the_errors_of_a_previous_prediction(name: str) -> None:
    rng, mask = np.random.default_rng(0), MASKS[name] & FIELD
    wrong = points = 0
    for _ in range(60):
        sampled = sample_training_prompts(MASKS[name], only("previous"), rng, valid=FIELD)
        prediction = np.zeros_like(mask) if sampled.mask is None else sampled.mask
        assert sampled.box is None
        assert not (prediction & ~FIELD).any()
        assert all(is_on(point, mask) == point.positive for point in sampled.points)
        assert all(is_on(point, prediction) != point.positive for point in sampled.points)
        assert len(set(coordinates(sampled))) == len(sampled.points) <= 3
        wrong += not np.array_equal(prediction, mask)
        points += len(sampled.points)
    assert wrong > 45
    assert points > 45


@pytest.mark.parametrize("name", MASKS)
def test_one_seed_is_reproducible_and_two_differ(name: str) -> None:
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


def test_masks_are_not_modified() -> None:
    mask, field, rng = MASKS["disc"].copy(), FIELD.copy(), np.random.default_rng(0)
    for kind in ONLY:
        for _ in range(20):
            sample_training_prompts(mask, only(kind), rng, valid=field)
    assert np.array_equal(mask, MASKS["disc"])
    assert np.array_equal(field, FIELD)


def test_all_sampled_prompts_are_valid_network_prompts() -> None:
    import torch

    rng = np.random.default_rng(0)
    for kind in ONLY:
        sampled = sample_training_prompts(MASKS["disc"], only(kind, positive=(1, 5)), rng)
        logits = None
        if sampled.mask is not None:
            logits = mask_to_logits(torch.from_numpy(sampled.mask)[None, None], size=24)[0, 0]
        prompts = PromptBatch.single(
            points=[(point.x, point.y) for point in sampled.points],
            labels=[point.positive for point in sampled.points],
            box=sampled.box,
            mask_logits=logits,
        )
        assert prompts.shape_key == (len(sampled.points), "box" in kind, kind == "previous")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ONLY, "no kind of prompt"),
        ({"positive": (5, 1)}, "fewest and the most"),
        ({"negative": (-1, 1)}, "fewest and the most"),
        ({"box_jitter": 0.5}, "less than or equal to 0.3"),
        ({"none": float("nan")}, "finite"),
        ({"six_points": 1}, "Extra inputs"),
    ],
)
def test_invalid_prompt_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PromptSamplingSettings.model_validate(settings)


def test_always_gives_an_empty_mask_a_negative_point() -> None:
    rng, empty = np.random.default_rng(0), np.zeros((9, 9), bool)
    for _ in range(100):
        sampled = sample_training_prompts(empty, PromptSamplingSettings().always(), rng)
        assert sampled.points
        assert not any(point.positive for point in sampled.points)
