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


def said(layer: Labels, images: list[Image]) -> tuple[Image | None, bool]:
    owner = image_of(layer, images)
    return owner.image, owner.sure


def test_what_was_noted_counts_alone() -> None:
    a, b = image("a", path="a.png"), image("b", path="b.png")
    assert said(labels("a disc", image="b.png"), [a, b]) == (b, True)
    assert said(labels("a disc", image="gone.png"), [a, b]) == (None, True)
    assert said(labels("disc", image="gone.png"), [a]) == (None, True)


@pytest.mark.parametrize(
    ("name", "found"), [("1 disc", 0), ("1_disc", 0), ("1", 0), ("11 disc", 1), ("111 disc", None)]
)
def test_names_are_compared_by_whole_words(name: str, found: int | None) -> None:
    images = [image("1"), image("11")]
    assert image_of(labels(name), images).image is (None if found is None else images[found])


def test_else_the_only_one_of_its_size_is_meant_or_the_only_one() -> None:
    small, large = image("small"), image("large", 8)
    assert said(labels("disc", 8), [small, large]) == (large, False)
    assert said(labels("disc", 5), [small, large]) == (None, False)
    assert said(labels("disc", 5), [small]) == (small, False)
    assert said(labels("disc"), []) == (None, False)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        *(("Labels", True), ("Labels [1]", True), ("Disc", True), ("disc_2", True), ("", True)),
        *(("eye1 disc", False), ("eye1_disc", False), ("discus", False), ("1", False)),
    ],
)
def test_a_size_says_nothing_of_a_layer_named_after_something_else(name: str, fits: bool) -> None:
    other = image("eye2")
    assert said(labels(name), [other]) == (other if fits else None, False)
