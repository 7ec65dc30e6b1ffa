"""The synthetic fundus: exact masks, anatomy, and the same bytes for the same seed."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage
from skimage.morphology import skeletonize

from sam2lora.errors import SettingsError
from sam2lora.synthetic import SyntheticFundus, SyntheticSettings, draw_fundus

MASKS = {"vessel", "artery", "vein", "disc", "cup", "lesion_dark", "lesion_bright", "fov"}

DIGEST = """
import hashlib, sys
from sam2lora.synthetic import SyntheticSettings, draw_fundus
fundus = draw_fundus(11, SyntheticSettings(size=192, lesions=True))
digest = hashlib.sha256(fundus.image.tobytes())
for name in sorted(fundus.masks):
    digest.update(fundus.masks[name].tobytes())
print(digest.hexdigest(), "torch" in sys.modules)
"""


@pytest.fixture(scope="module", params=[1, 4, 15])
def fundus(request: pytest.FixtureRequest) -> SyntheticFundus:
    return draw_fundus(request.param, SyntheticSettings(size=512))


def _height(mask: NDArray[np.bool_]) -> int:
    return int(mask.any(axis=1).sum())


def _dice(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (mask & other).sum() / (mask.sum() + other.sum()))


def _digest(fundus: SyntheticFundus) -> str:
    digest = hashlib.sha256(fundus.image.tobytes())
    for name in sorted(fundus.masks):
        digest.update(fundus.masks[name].tobytes())
    return digest.hexdigest()


def test_image_is_the_same_in_every_process_without_torch() -> None:
    here = _digest(draw_fundus(11, SyntheticSettings(size=192, lesions=True)))
    for hash_seed in ("1", "2"):
        output = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert output == [here, "False"]


def test_another_seed_gives_another_eye() -> None:
    settings = SyntheticSettings(size=256, eye="left", view="macula", crop=0)
    one, other = draw_fundus(1, settings), draw_fundus(2, settings)
    difference = np.abs(one.image.astype(float) - other.image)
    assert difference[one.masks["fov"] & other.masks["fov"]].mean() > 8
    assert _dice(one.masks["vessel"], other.masks["vessel"]) < 0.5


def test_every_mask_has_the_shape_of_the_image(fundus: SyntheticFundus) -> None:
    assert fundus.image.shape == (512, 512, 3)
    assert fundus.image.dtype == np.uint8
    assert set(fundus.masks) == MASKS
    for mask in fundus.masks.values():
        assert mask.shape == (512, 512)
        assert mask.dtype == bool


def test_masks_nest(fundus: SyntheticFundus) -> None:
    masks = fundus.masks
    assert not (masks["cup"] & ~masks["disc"]).any()
    for name in MASKS:
        assert not (masks[name] & ~masks["fov"]).any(), name
    np.testing.assert_array_equal(masks["vessel"], masks["artery"] | masks["vein"])


def test_arteries_and_veins_cross_and_veins_are_wider(fundus: SyntheticFundus) -> None:
    artery, vein = fundus.masks["artery"], fundus.masks["vein"]
    crossing = (artery & vein).sum()
    assert 20 < crossing < 0.35 * artery.sum()
    widest = {
        name: float(np.quantile(ndimage.distance_transform_edt(mask)[skeletonize(mask)], 0.97))
        for name, mask in (("artery", artery), ("vein", vein))
    }
    assert widest["vein"] > 1.1 * widest["artery"]


@pytest.mark.parametrize("seed", range(6))
def test_vessels_have_realistic_density_width_and_contrast(seed: int) -> None:
    settings = SyntheticSettings(size=560, view="macula", field_degrees=45, crop=0, clarity=0.9)
    fundus = draw_fundus(seed, settings)
    field, vessel = fundus.masks["fov"], fundus.masks["vessel"]
    diameter = np.sqrt(field.sum() * 4 / np.pi)
    assert 0.08 <= vessel.sum() / field.sum() <= 0.145
    radius = ndimage.distance_transform_edt(vessel)[skeletonize(vessel)]
    assert 30 < diameter / (2 * radius.max()) < 80
    assert np.median(2 * radius) <= diameter / 150
    around = ndimage.binary_dilation(vessel, iterations=5) & ndimage.binary_erosion(
        field & ~ndimage.binary_dilation(vessel, iterations=2), iterations=2
    )
    green = fundus.image[..., 1].astype(float)
    contrast = 1 - green[vessel].mean() / green[around].mean()
    assert 0.12 < contrast < 0.28


def test_most_vessels_are_connected_to_the_disc(fundus: SyntheticFundus) -> None:
    for name in ("artery", "vein"):
        mask = fundus.masks[name]
        parts, _ = ndimage.label(mask, structure=np.ones((3, 3)))
        on_disc = np.setdiff1d(np.unique(parts[fundus.masks["disc"]]), [0])
        skeleton = skeletonize(mask)
        assert np.isin(parts[skeleton], on_disc).mean() > 0.85, name


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.85])
def test_cup_has_the_requested_height(ratio: float) -> None:
    for seed in range(3):
        masks = draw_fundus(seed, SyntheticSettings(size=512, cup_to_disc=ratio)).masks
        assert _height(masks["cup"]) / _height(masks["disc"]) == pytest.approx(ratio, abs=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_disc_has_realistic_size_and_brightness(seed: int) -> None:
    settings = SyntheticSettings(size=512, view="macula", field_degrees=45, crop=0)
    fundus = draw_fundus(seed, settings)
    field, disc = fundus.masks["fov"], fundus.masks["disc"]
    assert 6.2 <= _height(field) / _height(disc) <= 8.5
    green = fundus.image[..., 1].astype(float)
    no_vessel = disc & ~fundus.masks["vessel"]
    assert green[no_vessel].mean() > 1.3 * np.median(green[field])
    assert (
        green[fundus.masks["cup"] & no_vessel].mean()
        > green[no_vessel & ~fundus.masks["cup"]].mean()
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("eye", "nasal"), [("left", -1), ("right", 1)])
def test_disc_is_nasal_of_a_dark_macula_without_vessels(seed: int, eye: str, nasal: int) -> None:
    settings = SyntheticSettings(
        size=512, eye=eye, view="macula", field_degrees=50, crop=0, lesions=False, choroid=0
    )
    fundus = draw_fundus(seed, settings)
    assert fundus.eye == eye
    disc_y, disc_x = np.argwhere(fundus.masks["disc"]).mean(axis=0)
    mm = _height(fundus.masks["fov"]) / (50 * 0.29)
    rows, columns = np.indices((512, 512))

    def near(x: float, y: float, radius: float) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.hypot(columns - x, rows - y) < radius * mm
        return inside

    fovea_x, fovea_y = disc_x - nasal * 4.7 * mm, disc_y + 0.4 * mm
    green = fundus.image[..., 1].astype(float)
    no_vessel = fundus.masks["fov"] & ~ndimage.binary_dilation(fundus.masks["vessel"], iterations=2)
    middle = near(fovea_x, fovea_y, 0.8)
    around = near(fovea_x, fovea_y, 3) & ~near(fovea_x, fovea_y, 2)
    assert green[middle & no_vessel].mean() < 0.95 * green[around & no_vessel].mean()
    empty = ndimage.distance_transform_edt(~fundus.masks["vessel"])[near(fovea_x, fovea_y, 0.8)]
    assert empty.max() > 0.35 * mm


@pytest.mark.parametrize("view", ["macula", "disc", "between"])
@pytest.mark.parametrize("choices", [{"field_degrees": 25}, {"crop": 0.4}, {"field_degrees": 65}])
def test_whole_disc_is_in_the_field_of_every_camera(view: str, choices: dict[str, float]) -> None:
    for seed in range(5):
        settings = SyntheticSettings(size=160, view=view, **choices)
        masks = draw_fundus(seed, settings).masks
        rim = masks["fov"] & ~ndimage.binary_erosion(masks["fov"])
        assert masks["disc"].any()
        assert not (masks["disc"] & rim).any()


def test_field_is_a_circle_with_the_requested_crop() -> None:
    for seed in range(3):
        field = draw_fundus(seed, SyntheticSettings(size=256, crop=0)).masks["fov"]
        width = int(field.any(axis=0).sum())
        assert field.sum() == pytest.approx(np.pi / 4 * width**2, rel=0.02)
        assert 0.9 * 256 < width <= 256
        cut = draw_fundus(seed, SyntheticSettings(size=256, crop=0.3)).masks["fov"]
        assert _height(cut) == pytest.approx(0.7 * cut.any(axis=0).sum(), abs=3)


def test_outside_the_field_is_nearly_black(fundus: SyntheticFundus) -> None:
    outside = ~ndimage.binary_dilation(fundus.masks["fov"], iterations=6)
    assert fundus.image[outside].mean() < 10
    assert fundus.image[fundus.masks["fov"]].mean() > 30


@pytest.mark.parametrize("size", [64, 128, (300, 448), (448, 300)])
def test_any_size_can_be_drawn(size: int | tuple[int, int]) -> None:
    fundus = draw_fundus(5, SyntheticSettings(size=size))
    shape = (size, size) if isinstance(size, int) else size
    assert fundus.image.shape == (*shape, 3)
    for name in ("vessel", "artery", "vein", "disc", "cup", "fov"):
        assert fundus.masks[name].shape == shape
        assert fundus.masks[name].any(), name


def test_another_size_shows_the_same_eye() -> None:
    small = draw_fundus(3, SyntheticSettings(size=256))
    large = draw_fundus(3, SyntheticSettings(size=512))
    for name, least in (("vessel", 0.75), ("disc", 0.97), ("cup", 0.95), ("fov", 0.99)):
        shrunk = large.masks[name].reshape(256, 2, 256, 2).mean(axis=(1, 3)) >= 0.5
        assert _dice(small.masks[name], shrunk) > least, name
    shrunk_image = large.image.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk_image - small.image)[small.masks["fov"]].mean() < 8


def test_brightness_does_not_change_the_masks() -> None:
    bright = draw_fundus(3, SyntheticSettings(size=256, brightness=1.1))
    dark = draw_fundus(3, SyntheticSettings(size=256, brightness=0.4))
    for name in MASKS:
        np.testing.assert_array_equal(bright.masks[name], dark.masks[name])
    assert dark.image.mean() < 0.6 * bright.image.mean()


def test_smaller_spacing_gives_more_vessels() -> None:
    lengths = [
        skeletonize(
            draw_fundus(3, SyntheticSettings(size=512, vessel_spacing=spacing)).masks["vessel"]
        ).sum()
        for spacing in (0.45, 0.7, 1.2)
    ]
    assert lengths[0] > 1.15 * lengths[1] > 1.15 * 1.15 * lengths[2]


def test_requested_lesions_are_darker_or_brighter_than_the_retina() -> None:
    kinds = {"lesion_dark": 0, "lesion_bright": 0}
    for seed in range(6):
        fundus = draw_fundus(seed, SyntheticSettings(size=384, lesions=True))
        healthy = draw_fundus(seed, SyntheticSettings(size=384, lesions=False))
        assert fundus.masks["lesion_dark"].any() or fundus.masks["lesion_bright"].any()
        change = fundus.image[..., 1].astype(float) - healthy.image[..., 1]
        for kind, sign in (("lesion_dark", -1), ("lesion_bright", 1)):
            assert not healthy.masks[kind].any()
            mask = fundus.masks[kind]
            assert not (mask & fundus.masks["disc"]).any()
            if mask.any():
                kinds[kind] += 1
                assert sign * np.median(change[mask]) > 4
        np.testing.assert_array_equal(fundus.masks["vessel"], healthy.masks["vessel"])
    assert min(kinds.values()) >= 2


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"size": 32}, "64 to 4096"),
        ({"size": (512, 9000)}, "64 to 4096"),
        ({"cup_to_disc": 1.2}, "cup_to_disc"),
        ({"eye": "middle"}, "'left' or 'right'"),
        ({"brightnes": 1.0}, "brightnes"),
        ({"noise": float("nan")}, "noise"),
    ],
)
def test_invalid_settings_are_refused(choices: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SyntheticSettings.model_validate(choices)


def test_negative_seed_is_refused() -> None:
    with pytest.raises(SettingsError, match="0 or above, not -1"):
        draw_fundus(-1)


def test_every_setting_has_a_description() -> None:
    for name, field in SyntheticSettings.model_fields.items():
        assert field.description, name
