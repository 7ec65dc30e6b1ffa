"""What napari compiles before it can color a mask."""

import pytest
from napari.utils import DirectLabelColormap

from napari_sam2lora._mask_colors import warm_up_colors


def test_a_mask_of_the_kind_that_accept_makes_is_colored(monkeypatch: pytest.MonkeyPatch):
    colored = []
    real = DirectLabelColormap.map

    def note(self, values):
        colored.append((values.dtype, values.shape, set(self.color_dict)))
        return real(self, values)

    monkeypatch.setattr(DirectLabelColormap, "map", note)
    warm_up_colors()
    assert [(str(dtype), len(shape)) for dtype, shape, _ in colored] == [("uint8", 2)]
    assert None in colored[0][2]  # as in mask_layer: every other label has a color too
