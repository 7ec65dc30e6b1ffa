"""Prompts in native pixels: parsing, checks, and selection by window."""

import numpy as np
import pytest

from sam2lora.errors import GeometryError
from sam2lora.prompts.user_prompts import PointPrompt, Prompts, parse_box, parse_point
from sam2lora.transforms.windows import Window

FIELD = np.zeros((100, 200), bool)
FIELD[10:90, 20:180] = True


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("10,20,+", PointPrompt(10, 20)),
        ("10,20,-", PointPrompt(10, 20, positive=False)),
        ("10.5, 20", PointPrompt(10.5, 20)),
        ("-3,4,-", PointPrompt(-3, 4, positive=False)),
        ("10,20,+,branch", PointPrompt(10, 20, branch=True)),
        ("10,20,-,branch", PointPrompt(10, 20, positive=False, branch=True)),
    ],
)
def test_points_are_parsed(text: str, point: PointPrompt) -> None:
    assert parse_point(text) == point


@pytest.mark.parametrize("text", ["", "10", "10,20,0", "a,b,+", "1,2,3,4", "1;2", "1,2,+,twig"])
def test_invalid_point_is_refused(text: str) -> None:
    with pytest.raises(GeometryError, match="x,y,"):
        parse_point(text)


def test_boxes_are_parsed() -> None:
    assert parse_box("1,2,3.5,4") == (1, 2, 3.5, 4)
    with pytest.raises(GeometryError, match="x0,y0,x1,y1"):
        parse_box("1,2,3")
    with pytest.raises(GeometryError, match="x0 < x1"):
        Prompts(box=parse_box("5,2,3,4"))


def test_non_finite_coordinates_are_refused() -> None:
    with pytest.raises(GeometryError, match="finite"):
        Prompts((parse_point("nan,3,+"),))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (Prompts((PointPrompt(300, 50),)), "200 × 100"),
        (Prompts((PointPrompt(-1, 50),)), "outside the image"),
        (Prompts((PointPrompt(5, 50),)), "outside the field of view"),
        (Prompts(box=(0, 0, 8, 100)), "box"),
        (Prompts(mask=np.zeros((3, 3), bool)), "painted mask has shape"),
        (Prompts(mask=~FIELD), "painted mask lies outside the field of view"),
    ],
)
def test_prompts_outside_the_field_are_refused(prompts: Prompts, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        prompts.check_inside(FIELD)


def test_prompts_inside_the_field_are_accepted() -> None:
    Prompts((PointPrompt(20, 10), PointPrompt(179, 89)), (0, 0, 30, 30), FIELD).check_inside(FIELD)
    Prompts(mask=np.ones_like(FIELD)).check_inside(FIELD)


def test_unpainted_layer_is_an_empty_prompt() -> None:
    untouched = Prompts(mask=np.zeros((100, 200), bool))
    untouched.check_inside(FIELD)
    assert untouched.empty
    assert not Prompts(mask=FIELD).empty
    assert untouched.within(Window(0, 0, 200, 200, 64)).mask is None


def test_window_gets_the_prompts_inside_it() -> None:
    painted = np.zeros((100, 200), bool)
    painted[40:60, 90:110] = True
    prompts = Prompts(
        (PointPrompt(30, 50), PointPrompt(99, 50), PointPrompt(100, 50)), (50, 20, 150, 70), painted
    )
    left = prompts.within(Window(0, 0, 100, 100, 64))
    right = prompts.within(Window(100, 0, 100, 100, 64))
    assert left.points == (PointPrompt(30, 50), PointPrompt(99, 50))
    assert right.points == (PointPrompt(100, 50),)
    assert left.box == (50, 20, 99.5, 70)
    assert right.box == (99.5, 20, 150, 70)
    assert left.mask is painted
    assert prompts.within(Window(0, 80, 20, 20, 64)).empty


def test_painted_line_is_kept_only_in_windows_it_crosses() -> None:
    painted = np.zeros((2336, 3504), bool)
    painted[1000:1003, 1500:2000] = True
    prompts = Prompts(mask=painted)
    assert prompts.within(Window(0, -584, 3504, 3504, 512)).mask is painted
    assert prompts.within(Window(1999.4, 900, 512, 512, 512)).mask is painted
    assert prompts.within(Window(1999.6, 900, 512, 512, 512)).empty
    assert prompts.within(Window(1500, 1002.4, 512, 512, 512)).mask is painted
    assert prompts.within(Window(1500, 1003, 512, 512, 512)).empty
    assert prompts.within(Window(-600, 900, 512, 512, 512)).empty


def test_box_part_smaller_than_a_pixel_is_left_out() -> None:
    assert Prompts(box=(10, 10, 20.2, 20)).within(Window(20, 0, 50, 50, 64)).box is None


@pytest.mark.parametrize("box", [(10, 10, 10.6, 40), (10, 10, 40, 10.99)])
def test_box_smaller_than_a_pixel_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(GeometryError, match="at least one pixel"):
        Prompts(box=box)


def test_inside_removes_the_prompts_that_are_refused() -> None:
    mask = np.zeros(FIELD.shape, bool)
    prompts = Prompts(
        (PointPrompt(5, 5), PointPrompt(50, 50), PointPrompt(500, 50)), (0, 0, 9, 9), mask
    )
    kept = prompts.inside(FIELD)
    assert kept.points == (PointPrompt(50, 50),)
    assert kept.box is None
    assert kept.mask is mask
    kept.check_inside(FIELD)
    assert Prompts(box=(0, 0, 60, 60)).inside(FIELD).box == (0, 0, 60, 60)
