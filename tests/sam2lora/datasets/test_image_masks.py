"""Masks are left out of lists of images; images never are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.annotations import save_label_map, save_mask
from sam2lora.datasets.image_masks import without_masks
from sam2lora.datasets.image_search import find_images
from sam2lora.errors import ImageError
from sam2lora.evaluation.report.plots import new_figure
from sam2lora.images.visualization import save_figure, save_picture

Put = Callable[[str, Any], Path]
PHOTO = np.random.default_rng(0).integers(0, 256, (8, 12), dtype=np.uint8)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a_disc.png",
            "a_disc.tif",
            "a_cup.jpg",
            "A_DISC.PNG",
            "a_mask.png",
            "a_fov.bmp",
            "a.png",
        ),
        *(
            "a_vessels.png",
            "a-disc.png",
            "a disc.png",
            "a.disc.png",
            "a_optic_disc.png",
            "a_OD.tif",
        ),
        *("a_manual1.gif", "a_1stHO.png", "a_seg1.png", "a_groundtruth.png", "a_annotation.bmp"),
        *("a_exudates.png", "a_disc (1).png", "mask_a.png", "disc_a.png", "DISC-A-2.PNG"),
    ],
)
def test_mask_beside_its_image_is_no_image(put: Put, box: np.ndarray, name: str) -> None:
    image, mask = put("a.jpg", "photo"), put(name, box)
    assert without_masks([mask, image]) == [image]


@pytest.mark.parametrize("name", ["a_disc.png", "a_mask.tif", "a_probability.png", "a.png"])
def test_image_with_the_name_of_a_mask_stays(put: Put, name: str) -> None:
    paths = [put("a.jpg", "photo"), put(name, np.stack([PHOTO, PHOTO // 2, PHOTO], 2))]
    assert without_masks(paths) == paths
    paths = [paths[0], put(name, PHOTO)]
    assert without_masks(paths) == paths


def test_mask_without_its_image_is_known_by_its_mark(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    ours = [save_mask(tmp_path / name, box) for name in ("a_disc.png", "b_of-my-own.tif")]
    foreign = put("c_disc.png", box)
    assert without_masks([*ours, foreign]) == [foreign]
    ours += [save_label_map(tmp_path / "all.png", {"disc": box})[0]]
    assert without_masks(ours) == []


@pytest.mark.parametrize(
    "name", ["a_disc - Copy.png", "a_disc(1).png", "renamed.png", "a.b.png", "A_DISC.PNG"]
)
def test_marked_mask_is_none_whatever_its_name(
    put: Put, tmp_path: Path, box: np.ndarray, name: str
) -> None:
    mask = save_mask(tmp_path / "x.png", box).rename(tmp_path / name)
    assert without_masks([mask]) == []


@pytest.mark.parametrize("name", ["a1.png", "aa_disc.png", "disca.png", "b_disc.png"])
def test_other_masks_stay(put: Put, box: np.ndarray, name: str) -> None:
    paths = [put("a.jpg", "photo"), put(name, box)]
    assert without_masks(paths) == paths


def test_pictures_of_an_image_are_no_images(put: Put, tmp_path: Path) -> None:
    image = put("a.jpg", "photo")
    colors = np.stack([PHOTO, PHOTO // 2, PHOTO], 2)
    save_picture(tmp_path / "a_overlay.png", colors)
    figure = new_figure(2, 2)
    save_figure(tmp_path / "a_overview.png", figure)
    assert find_images([tmp_path]) == [image]


def test_unreadable_files_stay(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "a_disc.png", "a.tif", "missing/b_disc.png")]
    for path in paths[:3]:
        path.touch()
    assert without_masks(paths) == paths


@pytest.mark.parametrize("inputs", ["", "*.png", "**/*"])
def test_masks_beside_images_are_not_found_again(
    put: Put, tmp_path: Path, box: np.ndarray, inputs: str
) -> None:
    (tmp_path / "masks").mkdir()
    images = [put(f"p{number}.png", "photo") for number in (2, 11)]
    for image in images:
        save_mask(tmp_path / f"{image.stem}_disc.png", box)
        save_mask(tmp_path / "masks" / f"{image.stem}_cup.png", box)
    assert find_images([tmp_path / inputs]) == images
    mask = tmp_path / "p2_disc.png"
    assert find_images([mask]) == [mask]  # given by its name


def test_masks_in_the_images_of_a_dataset_are_no_images(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    image = put("images/a.png", "photo")
    put("masks/disc/a.png", box)
    save_mask(tmp_path / "images" / "a_disc.png", box)
    assert find_images([tmp_path]) == [image]


def test_folder_of_masks_is_refused_as_such(tmp_path: Path, box: np.ndarray) -> None:
    save_mask(tmp_path / "a_disc.png", box)
    with pytest.raises(ImageError, match="no image here, only masks"):
        find_images([tmp_path])
