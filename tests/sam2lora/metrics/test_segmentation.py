"""Metrics of shapes with known results, and compared with other implementations."""

from collections.abc import Callable
from math import inf, isnan, nan, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sam2lora.errors import GeometryError
from sam2lora.images.reading import read_mask
from sam2lora.metrics import segmentation as metrics
from sam2lora.metrics.segmentation import Counts

OVERLAPS = [metrics.dice, metrics.iou, metrics.cldice]
RATES = [metrics.sensitivity, metrics.specificity]
DISTANCES = [metrics.hd95, metrics.assd]
OF_MASKS = OVERLAPS + RATES + DISTANCES

Metric = Callable[..., float]
Mask = np.ndarray

ROWS, COLUMNS = np.ogrid[:120, :160]
EMPTY = np.zeros((120, 160), bool)
FULL = ~EMPTY


def disc(row: float, column: float, radius: float) -> Mask:
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def box(top: int, bottom: int, left: int, right: int) -> Mask:
    mask = EMPTY.copy()
    mask[top:bottom, left:right] = True
    return mask


def blobs(seed: int, shape: tuple[int, int] = (60, 70)) -> Mask:
    """Return a mask of irregular parts, some of them at the border."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3) > 0.05


def surface(mask: Mask) -> Mask:
    """Return (row, column) of each pixel with background above, below, left or right of it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~inner)


def test_overlaps_worked_out_by_hand() -> None:
    reference = box(10, 20, 30, 50)  # 200 pixels
    prediction = box(10, 20, 40, 55)  # 150, of which 100 are right
    counts = Counts(tp=100, fp=50, fn=100, tn=120 * 160 - 250)
    assert metrics.count(prediction, reference) == counts
    assert metrics.dice(prediction, reference) == pytest.approx(200 / 350)
    assert metrics.iou(prediction, reference) == pytest.approx(100 / 250)
    assert metrics.sensitivity(prediction, reference) == pytest.approx(0.5)
    assert metrics.specificity(prediction, reference) == pytest.approx(1 - 50 / 19000)


def test_only_valid_pixels_are_counted() -> None:
    reference, prediction, valid = box(10, 20, 30, 50), box(10, 20, 40, 55), box(0, 15, 0, 160)
    expected = Counts(tp=50, fp=25, fn=50, tn=15 * 160 - 125)
    assert metrics.count(prediction, reference, valid=valid) == expected


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3, 4) + Counts(10, 20, 30, 40) == Counts(11, 22, 33, 44)


SOME = box(10, 20, 30, 50)
OTHER = box(50, 60, 30, 50)


@pytest.mark.parametrize("metric", OVERLAPS)
def test_overlaps_of_empty_masks(metric: Metric) -> None:
    assert metric(EMPTY, EMPTY) == 1
    assert metric(SOME, EMPTY) == 0
    assert metric(EMPTY, SOME) == 0
    assert metric(SOME, OTHER) == 0
    assert metric(SOME, SOME) == 1
    assert metric(FULL, FULL) == 1
    assert metric(EMPTY, SOME, valid=~SOME) == 1
    assert isnan(metric(SOME, SOME, valid=EMPTY))


def test_rates_without_positives_or_negatives_are_undefined() -> None:
    assert isnan(metrics.sensitivity(SOME, EMPTY))
    assert metrics.sensitivity(EMPTY, SOME) == 0
    assert isnan(metrics.specificity(SOME, FULL))
    assert metrics.specificity(FULL, SOME) == 0
    assert metrics.specificity(EMPTY, EMPTY) == 1


@pytest.mark.parametrize("metric", DISTANCES)
def test_distances_to_nothing_are_undefined(metric: Metric) -> None:
    for prediction, reference in ((EMPTY, EMPTY), (SOME, EMPTY), (EMPTY, SOME)):
        assert isnan(metric(prediction, reference))
    assert isnan(metric(SOME, SOME, valid=EMPTY))
    assert metric(SOME, SOME) == 0


def test_distance_of_single_pixels_uses_the_spacing() -> None:
    first, second = box(10, 11, 10, 11), box(13, 14, 14, 15)
    for metric in DISTANCES:
        assert metric(first, second) == 5
        assert metric(first, second, spacing=(2, 0.5)) == pytest.approx(sqrt(6**2 + 2**2))


def test_lines_ten_rows_apart_are_ten_pixels_apart() -> None:
    for metric in DISTANCES:
        assert metric(box(20, 21, 0, 160), box(30, 31, 0, 160)) == 10
        in_mm = metric(box(20, 21, 0, 160), box(30, 31, 0, 160), spacing=(0.01, 1))
        assert in_mm == pytest.approx(0.1)


@pytest.mark.parametrize("shift", [1, 10, 35])
def test_distances_of_shifted_discs(shift: int) -> None:
    reference, prediction = disc(60, 60, 40), disc(60, 60 + shift, 40)
    found = metrics.surface_distances(prediction, reference)
    edges = surface(prediction), surface(reference)
    between = cdist(*edges)
    np.testing.assert_allclose(found.to_reference, between.min(axis=1))
    np.testing.assert_allclose(found.to_prediction, between.min(axis=0))
    assert found.to_reference.max() == shift  # the Hausdorff distance of shifted discs
    assert metrics.assd(prediction, reference) == pytest.approx(
        np.concatenate([between.min(axis=0), between.min(axis=1)]).mean()
    )
    angle = np.linspace(0, np.pi, 10_000)  # the distance of two circles, by direction
    circle = np.abs(np.hypot(40 * np.cos(angle) + shift, 40 * np.sin(angle)) - 40)
    assert metrics.hd95(prediction, reference) == pytest.approx(np.percentile(circle, 95), abs=0.6)
    assert metrics.assd(prediction, reference) == pytest.approx(circle.mean(), abs=0.6)


def test_hd95_is_the_larger_direction() -> None:
    line = box(20, 21, 0, 100)
    stray = line | box(80, 81, 0, 10)  # 10 of 110 surface pixels are 60 away: more than 5 %
    assert metrics.hd95(stray, line) == 60
    assert metrics.hd95(line, stray) == 60
    assert metrics.assd(stray, line) == pytest.approx(10 * 60 / 210)
    fewer = line | box(80, 81, 0, 5)  # 5 of 105 are less
    assert metrics.hd95(fewer, line) == 0


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
@pytest.mark.parametrize("spacing", [None, (0.5, 2.0)])
def test_monai_agrees_on_distances(spacing: tuple[float, float] | None) -> None:
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    for seed in range(3):
        prediction, reference = blobs(seed), blobs(seed + 10) | blobs(seed)
        reference[: 20 * seed] = False
        pair = prediction[None, None], reference[None, None]
        size = None if spacing is None else list(spacing)
        theirs = compute_hausdorff_distance(
            *pair, include_background=True, percentile=95, spacing=size
        )
        ours = metrics.hd95(prediction, reference, spacing=spacing)
        assert ours > 1
        assert ours == pytest.approx(theirs.item(), rel=1e-5)
        theirs = compute_average_surface_distance(
            *pair, include_background=True, symmetric=True, spacing=size
        )
        assert metrics.assd(prediction, reference, spacing=spacing) == pytest.approx(
            theirs.item(), rel=1e-5
        )


def test_cldice_of_lines() -> None:
    vessel = box(40, 41, 20, 120)
    assert metrics.cldice(vessel, box(38, 43, 20, 120)) == pytest.approx(1, abs=0.03)
    broken = vessel.copy()
    broken[:, 60:80] = False  # all of it is right, and 80 of 100 pixels are found
    assert metrics.cldice(broken, vessel) == pytest.approx(2 * 0.8 / 1.8)
    assert metrics.cldice(box(41, 42, 20, 120), vessel) == 0


def test_cldice_drops_more_than_dice_for_a_lost_branch() -> None:
    trunk, branch = box(30, 50, 0, 160), box(50, 110, 80, 81)
    assert metrics.dice(trunk, trunk | branch) > 0.98
    assert metrics.cldice(trunk, trunk | branch) < 0.9


def test_auc_counts_pairs() -> None:
    generator = np.random.default_rng(0)
    reference = generator.random((12, 15)) < 0.3
    values = generator.integers(0, 6, reference.shape).astype(np.float32) / 5  # many ties
    valid = generator.random(reference.shape) < 0.8
    positive, negative = values[reference & valid], values[~reference & valid]
    pairs = np.sign(positive[:, None] - negative[None, :])
    assert metrics.auc(values, reference, valid=valid) == pytest.approx((pairs.mean() + 1) / 2)
    assert metrics.auc(values, reference) != metrics.auc(values, reference, valid=valid)


def test_auc_of_known_orders() -> None:
    reference = np.array([[True, True, False, False]])
    for values, expected in (
        ([0.9, 0.8, 0.2, 0.1], 1),
        ([0.1, 0.2, 0.8, 0.9], 0),
        ([0.5, 0.5, 0.5, 0.5], 0.5),
        ([0.9, 0.3, 0.6, 0.1], 0.75),
    ):
        assert metrics.auc(np.array([values]), reference) == expected


def test_torchmetrics_agrees_on_auc() -> None:
    import torch
    from torchmetrics.functional.classification import binary_auroc

    generator = np.random.default_rng(0)
    reference = blobs(0)
    values = (reference + generator.normal(size=reference.shape)).astype(np.float32)
    values = np.round(1 / (1 + np.exp(-values)), 3)
    theirs = binary_auroc(
        torch.from_numpy(values).ravel(), torch.from_numpy(reference).ravel().int()
    )
    assert metrics.auc(values, reference) == pytest.approx(theirs.item(), abs=1e-6)


def test_auc_of_one_class_is_undefined_and_nan_has_no_order() -> None:
    values = np.full(EMPTY.shape, 0.5, np.float32)
    assert isnan(metrics.auc(values, EMPTY))
    assert isnan(metrics.auc(values, FULL))
    assert isnan(metrics.auc(values, SOME, valid=EMPTY))
    values[0, 0] = nan
    assert metrics.auc(values, SOME, valid=~box(0, 1, 0, 1)) == 0.5
    with pytest.raises(ValueError, match="probabilities contain NaN"):
        metrics.auc(values, SOME)


@pytest.mark.parametrize("metric", OF_MASKS)
def test_invalid_pixels_change_no_metric(metric: Metric) -> None:
    valid = disc(60, 80, 50)
    reference, prediction = disc(60, 60, 20), disc(66, 60, 24)
    before = metric(prediction, reference, valid=valid)
    assert 0 < before < inf
    for pair in ((prediction | ~valid, reference), (prediction, reference | ~valid)):
        assert metric(*pair, valid=valid) == before
    assert {metric(prediction | ~valid, reference), metric(prediction, reference | ~valid)} != {
        before
    }


def test_auc_ignores_invalid_pixels() -> None:
    valid = disc(60, 80, 50)
    values = np.random.default_rng(0).random(EMPTY.shape)
    before = metrics.auc(values, disc(60, 60, 20), valid=valid)
    assert 0.4 < before < 0.6
    values[~valid] = 7
    assert metrics.auc(values, disc(60, 60, 20), valid=valid) == before
    assert metrics.auc(values, disc(60, 60, 20)) != before


def eye(*, cup: float, height: float = 40) -> dict[str, Mask]:
    def ellipse(diameter: float) -> Mask:
        return np.hypot((ROWS - 60) * 30, (COLUMNS - 80) * diameter) < 15 * diameter

    return {"disc": ellipse(height), "cup": ellipse(height * cup)}


def test_cup_disc_ratio_error() -> None:
    error = metrics.vertical_cdr_error(eye(cup=0.75), eye(cup=0.5))
    assert error == pytest.approx(0.25, abs=0.03)
    assert metrics.vertical_cdr_error(eye(cup=0.5), eye(cup=0.75)) == error
    assert metrics.vertical_cdr_error(eye(cup=0.5), eye(cup=0.5, height=80)) < 0.03
    assert metrics.vertical_cdr_error(eye(cup=0), eye(cup=0.5)) == pytest.approx(0.5, abs=0.03)
    assert isnan(metrics.vertical_cdr_error({"disc": EMPTY, "cup": EMPTY}, eye(cup=0.5)))
    halved = metrics.vertical_cdr_error(eye(cup=1), eye(cup=0.5), valid=box(60, 120, 0, 160))
    assert halved == pytest.approx(0.5, abs=0.03)
    with pytest.raises(KeyError, match="cup"):
        metrics.vertical_cdr_error({"disc": SOME}, eye(cup=0.5))


@pytest.mark.parametrize("metric", OF_MASKS)
def test_arrays_that_are_not_masks_of_one_size_are_refused(metric: Metric) -> None:
    for prediction, valid in (
        (EMPTY[1:], None),
        (EMPTY.astype(np.float32), None),
        (EMPTY.astype(np.uint8) * 255, None),
        (EMPTY[None], None),
        (EMPTY, FULL[:, 1:]),
        (EMPTY, FULL.astype(float)),
    ):
        with pytest.raises(GeometryError, match=r"The masks must be \(H, W\) bool"):
            metric(prediction, SOME, valid=valid)


def test_auc_needs_probabilities_of_the_same_size() -> None:
    for wrong in (np.zeros((3, 3)), SOME, np.zeros(SOME.shape, np.uint8)):
        with pytest.raises(GeometryError, match="Probabilities must be float"):
            metrics.auc(wrong, SOME)
    with pytest.raises(GeometryError, match="The masks must be"):
        metrics.auc(np.zeros(SOME.shape), SOME, valid=FULL[1:])


def test_the_second_grader_of_drive_scores_as_published(real_data: Path) -> None:
    folder = real_data / "DRIVE" / "test"
    if not folder.is_dir():
        pytest.skip(f"no DRIVE at {folder}")
    scores = []
    for number in range(1, 21):
        first, second, field = (
            read_mask(folder / name)
            for name in (
                f"1st_manual/{number:02}_manual1.gif",
                f"2nd_manual/{number:02}_manual2.gif",
                f"mask/{number:02}_test_mask.gif",
            )
        )
        scores.append(metrics.dice(second, first, valid=field))
    assert np.mean(scores) == pytest.approx(0.788, abs=0.003)


def test_cross_entropy_is_the_mean_of_the_valid_pixels() -> None:
    reference = np.array([[True, False, True]])
    probabilities = np.array([[0.5, 0.25, 0.0]])
    valid = np.array([[True, True, False]])
    expected = -(np.log(0.5) + np.log(0.75)) / 2
    assert metrics.cross_entropy(probabilities, reference, valid=valid) == pytest.approx(expected)
    assert metrics.cross_entropy(probabilities, reference) == pytest.approx(
        (2 * expected - np.log(1e-6)) / 3
    )  # the last one is confident and wrong
    assert isnan(metrics.cross_entropy(probabilities, reference, valid=np.zeros((1, 3), bool)))
    with pytest.raises(GeometryError, match="of shape"):
        metrics.cross_entropy(probabilities[:, :2], reference)


def test_cross_entropy_is_the_loss_of_the_same_name() -> None:
    import torch

    from sam2lora.losses.functional import segmentation_bce

    reference, logits = blobs(1), np.random.default_rng(2).normal(size=(60, 70))
    tensors = (torch.from_numpy(array)[None, None] for array in (logits, reference))
    expected = float(segmentation_bce(*tensors))
    assert metrics.cross_entropy(1 / (1 + np.exp(-logits)), reference) == pytest.approx(expected)
