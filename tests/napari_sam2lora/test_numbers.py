"""Numbers beside the picture."""

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora._numbers import Measured, Numbers, rows
from sam2lora.field_of_view import field_of_view_from_mask
from sam2lora.measurements import measure

from .conftest import bar, disk

FIELD = field_of_view_from_mask(disk(40))
MASKS = {"disc": disk(12), "cup": disk(6), "vessel": bar()}


def shown(target: str, spacing: tuple[float, float] | None = None) -> dict[str, str]:
    return dict(rows(Measured(("eye", target), 0.5, measure(MASKS, FIELD, spacing=spacing))))


def test_pixels_without_a_scale_and_lengths_with_one():
    plain, scaled = shown("disc"), shown("disc", (0.02, 0.02))
    assert plain["area of the disc"] == f"{disk(12).sum()} px"
    assert "mm²" in scaled["area of the disc"]
    assert scaled["height × width"] == "500 × 500 µm"
    assert "height × width" not in plain
    assert "µm²" in shown("cup", (0.001, 0.001))["area of the cup"]
    assert plain["vertical cup/disc ratio"] == "0.520"
    assert plain["vessel density in the field of view"].endswith("%")
    assert plain["expected IoU of the disc"] == "0.500"


def test_what_is_not_there_is_not_shown():
    only = Measured(("eye", "drusen"), None, measure({}, FIELD))
    assert list(rows(only)) == []


@pytest.mark.viewer
def test_the_last_of_several_wishes_is_measured(qtbot: QtBot):
    numbers, found = Numbers(), []
    numbers.measured.connect(found.append)
    with qtbot.waitSignal(numbers.measured, timeout=20_000):
        for radius in (5, 6, 12):
            numbers.ask(("eye", "disc"), 0.1, {"disc": disk(radius)}, FIELD, None)
    assert [one.measurements.structures["disc"].area_px for one in found] == [disk(12).sum()]
    numbers.ask(("eye", "disc"), 0.1, {"disc": np.zeros_like(disk(1))}, FIELD, None)
    numbers.close()
    qtbot.wait(200)
    assert len(found) == 1
