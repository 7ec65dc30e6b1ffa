"""What the values of a file say: a mask, a soft mask, or a label map."""

import numpy as np
import pytest
from scipy import ndimage

from sam2lora.datasets.mask_levels import find_labels, is_two_toned, levels_of

SHAPE = (60, 80)


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def labels_in(values: np.ndarray, *, lossy: bool = False) -> list[float]:
    return find_labels(values, levels_of(values), lossy=lossy)


def map_of(*labels: int) -> np.ndarray:
    values = np.zeros(SHAPE, np.uint8)
    for number, label in enumerate(labels):
        values[box(5 + 15 * number, 15 + 15 * number, 10, 70)] = label
    return values


SOFT = ndimage.gaussian_filter(box(15, 45, 20, 60) * 255.0, 2).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_levels_are_the_different_values_in_order(dtype: type) -> None:
    assert levels_of(map_of(7, 2).astype(dtype)) == [0, 2, 7]
    assert levels_of(np.zeros(SHAPE, dtype)) == [0]


@pytest.mark.parametrize("values", [map_of(255), map_of(1), map_of(255, 255), SOFT])
def test_masks_have_no_labels(values: np.ndarray) -> None:
    assert labels_in(values) == []


@pytest.mark.parametrize("labels", [(1, 2), (2, 3), (127, 255), (85, 170, 255), (63, 255)])
def test_areas_of_other_values_are_labels(labels: tuple[int, ...]) -> None:
    assert labels_in(map_of(*labels)) == sorted(labels)


def test_thin_lines_of_other_values_are_labels() -> None:
    values = np.zeros(SHAPE, np.uint8)
    values[10, 5:70] = 127
    values[30, 5:70] = 255
    assert labels_in(values) == [127, 255]


def test_many_pieces_are_labels() -> None:
    values = np.zeros(SHAPE, np.uint8)
    for number in range(40):
        row, column = divmod(number, 8)
        values[row * 10 + 2 : row * 10 + 8, column * 10 + 2 : column * 10 + 8] = 5 * number + 1
    assert len(labels_in(values)) == 40


def test_third_peak_of_a_lossy_file_is_a_label() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2, SHAPE)
    assert labels_in((map_of(128, 255) + noise).clip(0, 255).astype(np.uint8), lossy=True)
    assert labels_in((SOFT * 0.98 + noise).astype(np.uint8), lossy=True) == []


def test_photographs_are_not_two_toned() -> None:
    photograph = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    assert not is_two_toned(photograph)
    assert is_two_toned(map_of(1, 2))
    assert is_two_toned(ndimage.gaussian_filter(box(15, 45, 20, 60) * 255, 0.5))
