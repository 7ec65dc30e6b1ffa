"""Faded layers: their opacity comes back, unless the user changed it."""

import numpy as np
import pytest
from napari.layers import Image

from napari_sam2lora.layers.fading import FadedLayers


def layer(opacity: float = 0.8) -> Image:
    return Image(np.zeros((4, 4)), opacity=opacity)


def test_layer_is_faded_once_and_comes_back():
    faded, one = FadedLayers(0.5), layer()
    faded.set_faded(one, faded=False)
    assert one.opacity == 0.8
    for _ in range(2):
        faded.set_faded(one, faded=True)
        assert one.opacity == pytest.approx(0.4)
    faded.set_faded(one, faded=False)
    assert one.opacity == 0.8


def test_opacity_that_the_user_set_meanwhile_stays():
    faded, one = FadedLayers(0.5), layer()
    faded.set_faded(one, faded=True)
    one.opacity = 0.7
    faded.set_faded(one, faded=False)
    assert one.opacity == 0.7


def test_others_are_restored():
    faded, one, two = FadedLayers(0.5), layer(), layer(0.6)
    for each in (one, two):
        faded.set_faded(each, faded=True)
    faded.restore(but=[two])
    assert (one.opacity, two.opacity) == pytest.approx((0.8, 0.3))
    faded.restore()
    assert two.opacity == 0.6
