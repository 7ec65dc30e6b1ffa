"""What is drawn is what is measured."""

import numpy as np
import pytest
from skimage.draw import polygon2mask

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.measurements.drawing import Drawing, Region, draw_regions, join_sectors
from sam2lora.measurements.eye import measure_geometry
from sam2lora.measurements.geometry import EyeGeometry, eye_geometry
from sam2lora.measurements.regions import ETDRS_FIELDS, etdrs_grid, zone

SHAPE = (600, 800)
Y, X = np.ogrid[:600, :800]


def ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    return np.hypot((X - x) / rx, (Y - y) / ry) <= 1


WHOLE = FieldOfView(np.ones(SHAPE, bool), (400, 300), 800)
MASKS = {
    "disc": ellipse(500, 300, 40, 44),
    "cup": ellipse(494, 304, 20, 25),
    "vessel": np.broadcast_to(np.abs(Y - 300) <= 2, SHAPE),
}
FOVEA = (300.0, 310.0)


def geometry_of(**changes: object) -> EyeGeometry:
    given = {"masks": MASKS, "field": WHOLE, "fovea": FOVEA, **changes}
    return eye_geometry(given.pop("masks"), given.pop("field"), **given)


def draw_of(geometry: EyeGeometry) -> dict[Drawing, tuple[Region, ...]]:
    return draw_regions(geometry, measure_geometry(geometry).values)


def filled(region: Region) -> np.ndarray:
    """Fill what lies between a region's borders."""
    masks = [polygon2mask(SHAPE, border.points) for border in region.borders]
    return np.logical_xor.reduce(masks)


def parts(regions: tuple[Region, ...]) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
    """Return the hours and the quarters of the rim."""
    assert [region.label for region in regions[-1:]] == ["least"]
    return regions[:12], regions[12:-1]


def by_label(regions: tuple[Region, ...]) -> dict[str, Region]:
    return {region.label: region for region in regions}


def width_of(region: Region) -> float:
    """Return the mean distance of the outer and inner end of each ray, those at the ends half."""
    outer, inner = np.split(region.borders[0].points, 2)
    lengths = np.hypot(*(outer - inner[::-1]).T)
    return float((lengths.sum() - lengths[[0, -1]].mean()) / (len(lengths) - 1))


@pytest.mark.parametrize("mirrored", [False, True])
def test_rim_that_is_drawn_has_the_width_that_is_measured(mirrored: bool) -> None:
    masks = {name: mask[:, ::-1] for name, mask in MASKS.items()} if mirrored else MASKS
    fovea = (799 - FOVEA[0], FOVEA[1]) if mirrored else FOVEA
    geometry = geometry_of(masks=masks, fovea=fovea)
    assert geometry.directions == ("left" if mirrored else "right")
    values, drawn = measure_geometry(geometry).values, draw_of(geometry)
    for region in drawn["rim sectors"][:-1]:
        assert width_of(region) == pytest.approx(values[region.name], abs=1e-9)
    quarters = hours = by_label(drawn["rim sectors"])
    nasal = quarters["N"].borders[0].points[:, 1].mean()
    assert (nasal < 299) == mirrored
    assert quarters["S"].borders[0].points[:, 0].max() < 300
    assert quarters["S"].label_at[0] < 300 - 44
    assert hours["12"].label_at[0] < 300 < hours["6"].label_at[0]
    assert (hours["3"].label_at[1] < 299) == mirrored


@pytest.mark.parametrize("mirrored", [False, True])
def test_hours_are_joined_along_their_borders(mirrored: bool) -> None:
    fovea = (700.0, 310.0) if mirrored else FOVEA
    hours, _ = parts(draw_of(geometry_of(fovea=fovea))["rim sectors"])
    line = join_sectors(hours)
    corners = np.concatenate([hour.borders[0].points for hour in hours])
    for corner in corners:
        assert np.abs(line - corner).sum(axis=1).min() < 1e-9
    steps = np.hypot(*np.diff(line, axis=0).T)
    rays = [np.hypot(*(p[0] - p[-1])) for p in (hour.borders[0].points for hour in hours)]
    long = np.sort(steps[steps > 5])
    twice = np.sort([*rays, *rays])  # in and out, and the one that it begins with once more
    assert len(long) == 25
    np.testing.assert_allclose(np.unique(long.round(6)), np.unique(twice.round(6)))


def test_quarters_and_hours_are_the_whole_rim() -> None:
    drawn = draw_of(geometry_of())
    rim = np.count_nonzero(MASKS["disc"] & ~MASKS["cup"])
    for regions in parts(drawn["rim sectors"]):
        assert sum(filled(region).sum() for region in regions) == pytest.approx(rim, rel=0.02)


def test_narrowest_part_is_drawn_where_it_is_measured() -> None:
    geometry = geometry_of()
    values = measure_geometry(geometry).values
    regions = by_label(draw_of(geometry)["rim sectors"])
    narrowest = regions["least"]
    outer, inner = np.split(narrowest.borders[0].points, 2)
    width = np.hypot(*(outer - inner[::-1]).T).mean()
    assert len(outer) == 11
    assert width / 80 == pytest.approx(values["rim_disc_ratio"], rel=0.1)
    hour = regions[str(values["rim_narrowest_hour"])]
    middle = outer[5]
    assert filled(hour)[tuple(np.rint((middle + inner[5]) / 2).astype(int))]


def test_zones_are_those_that_are_measured() -> None:
    geometry = geometry_of()
    assert geometry.disc is not None
    zones = draw_of(geometry)["zones B and C"]
    assert [region.label for region in zones] == ["zone B", "zone C"]
    for name, region in zip("bc", zones, strict=True):
        assert region.name == f"vessel_density_zone_{name}"
        measured = zone(name, geometry.disc, SHAPE)
        assert np.count_nonzero(filled(region) != measured) < 0.01 * measured.sum()
        assert measured[tuple(round(place) for place in region.label_at)]


@pytest.mark.parametrize("eye", ["right", "left"])
def test_grid_is_the_one_that_is_measured(eye: str) -> None:
    fovea = FOVEA if eye == "right" else (700.0, 310.0)
    geometry = geometry_of(fovea=fovea, spacing=(0.02, 0.02))
    assert geometry.scale is not None
    assert geometry.directions == eye
    grid = etdrs_grid(fovea, geometry.scale.mm_per_px, eye, SHAPE)
    regions = {one.name.split("etdrs_")[1]: one for one in draw_of(geometry)["ETDRS grid"]}
    assert len(regions) == (9 if eye == "right" else 8)  # one is mostly outside
    inside = [name for name in regions if regions[name].borders[0].closed]
    assert len(inside) >= 5
    for name in inside:
        region = regions[name]
        measured = grid == ETDRS_FIELDS.index(name) + 1
        assert region.name in DEFINITIONS
        assert np.count_nonzero(filled(region) != measured) < 0.03 * measured.sum(), name
        assert measured[tuple(round(place) for place in region.label_at)]


def test_only_what_is_in_the_field_of_view_is_drawn() -> None:
    field = FieldOfView(ellipse(400, 300, 200, 200), (400, 300), 400)
    zones = draw_of(geometry_of(field=field))["zones B and C"]
    borders = [border for region in zones for border in region.borders]
    assert borders
    for border in borders:
        rows, columns = np.rint(border.points).astype(int).T
        assert field.mask[rows, columns].all()
    inner, *outer = zones[1].borders
    assert inner.closed
    assert not any(border.closed for border in outer)
    for region in zones:
        assert field.mask[tuple(round(place) for place in region.label_at)]


def test_what_is_not_measured_is_not_drawn() -> None:
    assert draw_of(geometry_of(masks={})) == {}
    no_fovea = draw_of(geometry_of(fovea=None))
    assert [region.label for region in no_fovea["rim sectors"]] == [
        *("I", "S", "least"),
    ]
    assert set(no_fovea) == {"rim sectors", "zones B and C"}
    turned = draw_of(geometry_of(fovea=(480, 100)))
    assert [region.label for region in turned["rim sectors"]] == ["least"]
    assert "ETDRS grid" not in turned


def test_regions_of_which_less_than_half_is_visible_are_not_drawn() -> None:
    field = FieldOfView(ellipse(500, 300, 110, 110), (500, 300), 220)
    geometry = geometry_of(field=field, spacing=(0.02, 0.02), fovea=(440.0, 300.0))
    values = measure_geometry(geometry).values
    assert values["vessel_density_zone_c"] is None
    assert [region.label for region in draw_of(geometry)["zones B and C"]] == ["zone B"]
    names = {region.name for region in draw_of(geometry)["ETDRS grid"]}
    measured = {name for name in DEFINITIONS if "etdrs" in name and values[name] is not None}
    assert names == measured
    assert 0 < len(measured) < 9


_TEXTS = {"least": "least 0.123", "zone B": "zone B 0.129", "zone C": "zone C 0.130"}


def _box(region: Region) -> tuple[float, float, float, float]:
    """Return the place of a label as it is drawn: top, left, bottom, right."""
    quarter = f"{region.label} 38.2 px" if region.label in ("I", "S", "N", "T") else region.label
    text = _TEXTS.get(region.label, quarter) or "0.079"
    height, width = region.label_height, 0.6 * region.label_height * len(text)
    y, x = region.label_at
    return y - height / 2, x - width / 2, y + height / 2, x + width / 2


@pytest.mark.parametrize("scale", [0.2, 1.0])
@pytest.mark.parametrize("angle", range(0, 360, 15))
def test_labels_do_not_overlap_wherever_the_rim_is_narrowest(angle: int, scale: float) -> None:
    shift = 16 * scale * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    cup = ellipse(500 + shift[0], 300 + shift[1], 20 * scale, 20 * scale)
    masks = {**MASKS, "disc": ellipse(500, 300, 40 * scale, 40 * scale), "cup": cup}
    drawn = draw_of(geometry_of(masks=masks, eye="right"))
    boxes = [_box(one) for one in (*drawn["rim sectors"], *drawn["zones B and C"])]
    assert len(boxes) == 19
    for group in (boxes, [_box(one) for one in drawn["ETDRS grid"]]):
        for number, (top, left, bottom, right) in enumerate(group):
            for above, before, below, after in group[:number]:
                apart = top >= below or bottom <= above or left >= after or right <= before
                assert apart
