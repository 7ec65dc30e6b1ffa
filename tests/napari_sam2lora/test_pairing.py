"""Which photograph a Labels layer is about."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam2lora._pairing import image_of


def image(name: str, side: int = 4, **noted: str) -> Image:
    pixels = np.zeros((side, side, 3), np.uint8)
    return Image(pixels, rgb=True, name=name, metadata={"sam2lora": noted})


def labels(name: str, side: int = 4, **noted: str) -> Labels:
    return Labels(np.zeros((side, side), np.uint8), name=name, metadata={"sam2lora": noted})


def test_what_was_noted_counts_alone() -> None:
    a, b = image("a", path="a.png"), image("b", path="b.png")
    assert image_of(labels("a disc", image="b.png"), [a, b]) is b
    assert image_of(labels("a disc", image="gone.png"), [a, b]) is None
    assert image_of(labels("mine", image="gone.png"), [a]) is None


@pytest.mark.parametrize(
    ("name", "found"), [("1 disc", 0), ("1_disc", 0), ("1", 0), ("11 disc", 1), ("111 disc", None)]
)
def test_names_are_compared_by_whole_words(name: str, found: int | None) -> None:
    images = [image("1"), image("11")]
    assert image_of(labels(name), images) is (None if found is None else images[found])


def test_else_the_only_one_of_its_size_is_meant_or_the_only_one() -> None:
    small, large = image("small"), image("large", 8)
    assert image_of(labels("mine", 8), [small, large]) is large
    assert image_of(labels("mine", 5), [small, large]) is None
    assert image_of(labels("mine", 5), [small]) is small
    assert image_of(labels("mine"), []) is None
