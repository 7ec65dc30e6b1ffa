"""By what an eye is measured: its side and directions."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.drawing import draw_regions
from sam2lora.measurements.eye import measure_eye, measure_geometry
from sam2lora.measurements.geometry import doubts, eye_geometry

Y, X = np.ogrid[:400, :400]
FIELD = FieldOfView(np.ones((400, 400), bool), (200, 200), 400)
MASKS = {
    "disc": np.hypot(X - 250, Y - 200) <= 30,
    "cup": np.hypot(X - 250, Y - 204) <= 15,
}


def test_side_is_that_of_disc_and_fovea() -> None:
    geometry = eye_geometry(MASKS, FIELD, fovea=(100, 210))
    assert (geometry.eye, geometry.directions, geometry.turned) == ("right", "right", False)
    assert list(doubts(geometry)) == []


def test_side_that_contradicts_the_fovea_gives_no_directions() -> None:
    geometry = eye_geometry(MASKS, FIELD, eye="left", fovea=(100, 210))
    assert (geometry.eye, geometry.directions) == ("left", None)
    (doubt,) = doubts(geometry)
    assert doubt.startswith("The eye is said to be the left one, and disc and fovea lie as in a r")
    values = measure_eye(MASKS, FIELD, eye="left", fovea=(100, 210)).values
    assert values["rim_width_nasal_px"] is None
    assert values["rim_width_superior_px"] is not None


@pytest.mark.parametrize("eye", [None, "right"])
def test_turned_image_has_no_directions(eye: str | None) -> None:
    geometry = eye_geometry(MASKS, FIELD, eye=eye, fovea=(240, 50))
    assert (geometry.eye, geometry.directions, geometry.turned) == (eye, None, True)
    (doubt,) = doubts(geometry)
    assert "86 degrees off the horizontal" in doubt
    values = measure_eye(MASKS, FIELD, eye=eye, fovea=(240, 50)).values
    assert {name for name, value in values.items() if value is None} >= {
        *("rim_width_superior_px", "rim_width_nasal_px", "isnt_rule", "rim_narrowest_hour"),
    }
    assert values["rim_disc_ratio"] is not None
    assert values["disc_fovea_angle"] == pytest.approx(-86.2, abs=0.1)


def test_unknown_side_is_said_to_be_so() -> None:
    (doubt,) = doubts(eye_geometry(MASKS, FIELD))
    assert doubt.startswith("The side of the eye is not known")
    assert list(doubts(eye_geometry({"disc": MASKS["disc"]}, FIELD))) == []
    geometry = eye_geometry(MASKS, FIELD)
    assert len(draw_regions(geometry, measure_geometry(geometry).values)["rim sectors"]) == 3
