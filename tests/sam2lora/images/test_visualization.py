"""Overlays, error maps and overviews, checked by the colors that occur in them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor

from sam2lora.errors import OutputError, TargetError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.images.views import clahe_view
from sam2lora.images.visualization import (
    ERROR_COLORS,
    draw_errors,
    outline,
    overlay,
    save_image,
    save_overview,
)
from sam2lora.targets import TARGETS

ORANGE = (200, 90, 30)
COLORS = {name: ImageColor.getrgb(target.color) for name, target in TARGETS.items()}


def uniform_image(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), ORANGE, np.uint8)


def square(height: int, width: int, side: int) -> NDArray[np.bool_]:
    """Return a mask with a square in its middle."""
    mask = np.zeros((height, width), bool)
    top, left = (height - side) // 2, (width - side) // 2
    mask[top : top + side, left : left + side] = True
    return mask


def square_field(height: int, width: int) -> FieldOfView:
    return FieldOfView(square(height, width, min(height, width) // 2), (width / 2, height / 2), 50)


def count(picture: NDArray[np.uint8], color: tuple[int, ...]) -> int:
    """Count the pixels of exactly this color."""
    return int((picture == color).all(axis=-1).sum())


def near(picture: NDArray[np.uint8], color: tuple[int, ...], within: int = 40) -> int:
    """Count the pixels close to this color, as thin lines have after scaling."""
    return int((np.abs(picture.astype(int) - color).max(axis=-1) <= within).sum())


def test_outline_is_the_inner_border_and_the_image_edge_is_outside() -> None:
    mask = square(20, 20, 8)
    assert outline(mask).sum() == 8 * 8 - 6 * 6
    assert outline(mask, 3).sum() == 8 * 8 - 2 * 2
    assert (outline(mask, 3) <= mask).all()
    assert outline(np.ones((5, 7), bool)).sum() == 5 * 7 - 3 * 5
    assert not outline(mask, 0).any()


def test_overlay_fills_translucently_and_draws_a_solid_line() -> None:
    pixels, mask = uniform_image(40, 60), square(40, 60, 20)
    painted = overlay(pixels, {"disc": mask}, opacity=0.5, line=2)
    assert (pixels == ORANGE).all()
    assert (painted[~mask] == ORANGE).all()
    assert (painted[outline(mask, 2)] == COLORS["disc"]).all()
    half = np.rint((np.array(ORANGE) + COLORS["disc"]) / 2)
    np.testing.assert_allclose(painted[20, 30], half, atol=1)
    assert count(painted, tuple(painted[20, 30])) == 16 * 16


def test_later_masks_are_painted_over_earlier_ones() -> None:
    disc, cup = square(40, 40, 20), square(40, 40, 20)
    above = overlay(uniform_image(40, 40), {"disc": disc, "cup": cup}, line=1)
    assert count(above, COLORS["cup"]) == outline(cup).sum()
    assert count(above, COLORS["disc"]) == 0


def test_width_of_the_line_grows_with_the_image() -> None:
    """One pixel for a small image, 1/400 of the side for a large one, or none."""
    small = overlay(uniform_image(40, 40), {"vessel": square(40, 40, 20)}, opacity=0)
    assert count(small, COLORS["vessel"]) == outline(square(40, 40, 20), 1).sum()
    mask = square(1200, 1200, 100)
    large = overlay(uniform_image(1200, 1200), {"vessel": mask}, opacity=0)
    assert count(large, COLORS["vessel"]) == outline(mask, 3).sum()
    assert (
        overlay(uniform_image(40, 40), {"vessel": square(40, 40, 20)}, opacity=0, line=0) == ORANGE
    ).all()


def test_overlay_of_an_unknown_target_is_refused() -> None:
    with pytest.raises(TargetError, match="'macula'"):
        overlay(uniform_image(8, 8), {"macula": square(8, 8, 2)})


def test_errors_have_the_color_of_their_kind() -> None:
    prediction, reference = np.zeros((2, 4, 6), bool)
    prediction[:, 1:4], reference[:, 2:] = True, True
    painted = draw_errors(uniform_image(4, 6), prediction, reference)
    hit, false, missed = (count(painted, ImageColor.getrgb(color)) for color in ERROR_COLORS)
    assert (hit, false, missed) == (8, 4, 8)
    assert len(set(painted[0, 0])) == 1  # other pixels are grey


def test_masks_are_saved_as_0_and_255_and_images_unchanged(tmp_path: Path) -> None:
    mask = square(10, 12, 4)
    save_image(tmp_path / "mask.png", mask)
    saved = Image.open(tmp_path / "mask.png")
    assert saved.mode == "L"
    np.testing.assert_array_equal(np.asarray(saved), mask * 255)
    save_image(tmp_path / "image.tif", uniform_image(10, 12))
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "image.tif")), uniform_image(10, 12)
    )


def test_failed_save_is_reported_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        save_image(tmp_path / "missing" / "a.png", uniform_image(4, 4))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match=r"folder\.png"):
        save_image(tmp_path / "folder.png", uniform_image(4, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def overview(path: Path, height: int, width: int, *, layers: int = 2) -> NDArray[np.uint8]:
    """Write and read the overview of an orange image with a darker half, and masks in layers."""
    pixels = uniform_image(height, width)
    pixels[: height // 2] //= 2
    mask = square(height, width, min(height, width) // 3)
    captions = {"first": {"disc": mask}, "second": {"cup": mask}, "third": {"vessel": mask}}
    save_overview(
        path,
        pixels,
        square_field(height, width),
        title="a $_$ title",
        layers=dict(list(captions.items())[:layers]),
        lines=["one line", "another $^$ line"],
    )
    return np.asarray(Image.open(path).convert("RGB"))


def test_overview_shows_every_panel(tmp_path: Path) -> None:
    picture = overview(tmp_path / "a.png", 300, 360)
    height, width = picture.shape[:2]
    assert 1400 < width < 1800  # three panels of 500 pixels next to each other
    assert 900 < height < 1300  # two rows of 420, the title, the captions and two lines
    panel = 500 * 420
    # The lower halves are orange in the image and in both layers, except the mask.
    assert 1.2 * panel < count(picture, ORANGE) < 1.5 * panel
    assert 200 < near(picture, COLORS["disc"]) < 0.1 * panel
    assert 200 < near(picture, COLORS["cup"]) < 0.1 * panel
    assert near(picture, COLORS["vessel"]) == 0
    assert 0.4 * panel < near(picture, (ORANGE[1],) * 3, 2) < 0.6 * panel  # the green channel
    enhanced = clahe_view(np.vstack([uniform_image(150, 360) // 2, uniform_image(150, 360)]))[
        -1, -1
    ]
    assert tuple(enhanced) != ORANGE
    assert count(picture, tuple(enhanced)) > 0.01 * panel


def test_field_is_drawn_only_in_the_first_panel(tmp_path: Path) -> None:
    picture = overview(tmp_path / "a.png", 300, 360)
    white = (picture == 255).all(axis=-1)
    # The first panel is in the upper left; its field is a square in its middle, half as high.
    first, second = white[100:450, 40:480], white[100:450, 560:1000]
    assert first.sum() > 1500
    assert second.sum() == 0


@pytest.mark.parametrize(("layers", "columns"), [(0, 2), (1, 2), (2, 3), (3, 3)])
def test_panels_are_in_two_or_three_columns(tmp_path: Path, layers: int, columns: int) -> None:
    picture = overview(tmp_path / "a.png", 60, 60, layers=layers)
    assert round(picture.shape[1] / 519) == columns
    assert [near(picture, COLORS[name]) > 0 for name in ("disc", "cup", "vessel")] == [
        layers > number for number in range(3)
    ]


def test_size_of_the_overview_does_not_depend_on_the_image(tmp_path: Path) -> None:
    """Also for sides that the reduction does not divide, and for tiny images."""
    small = overview(tmp_path / "small.png", 150, 100)
    large = overview(tmp_path / "large.png", 2247, 1499)
    tiny = overview(tmp_path / "tiny.png", 9, 6)
    np.testing.assert_allclose(small.shape, large.shape, atol=2)
    np.testing.assert_allclose(small.shape, tiny.shape, atol=2)
    assert near(large, COLORS["disc"]) > 200


def test_existing_overview_is_kept_if_a_new_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    (tmp_path / "a.png").write_bytes(b"older")

    def fail(figure: Figure, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OutputError, match="No space left"):
        overview(tmp_path / "a.png", 60, 60)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"older"
