"""Label maps are recognised, and read only where it is known what their labels show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from sam2lora.annotations import save_label_map
from sam2lora.datasets import MaskFile
from sam2lora.datasets.label_maps import parse_labels, with_parts
from sam2lora.datasets.mask_levels import is_two_toned
from sam2lora.errors import ImageError, SettingsError, TargetError, UnclearMaskError

Put = Callable[[str, Any], Path]
SHAPE = (24, 32)
RIM = np.zeros(SHAPE, bool)
RIM[4:20, 6:26] = True
CUP = np.zeros(SHAPE, bool)
CUP[8:16, 10:20] = True


def map_of(rim: int, cup: int, background: int = 0, dtype: type = np.uint8) -> np.ndarray:
    """Return a map of the disc's rim and the cup."""
    return np.where(CUP, cup, np.where(RIM, rim, background)).astype(dtype)


@pytest.mark.parametrize(
    "values",
    [
        map_of(1, 2),
        map_of(2, 3),
        map_of(2, 2),
        map_of(1, 3),
        map_of(128, 255),
        map_of(255, 128),
        map_of(1, 255),
        map_of(127, 255),
        map_of(100, 200),
        map_of(2, 3, background=1),
        map_of(38, 75),
        map_of(1, 2, dtype=np.uint16),
        map_of(1000, 300, dtype=np.uint16),
    ],
    ids=lambda values: ",".join(map(str, np.unique(values))),
)
def test_label_map_of_unknown_labels_is_refused(put: Put, values: np.ndarray) -> None:
    path = put("a.png", values)
    with pytest.raises(UnclearMaskError, match=r"a\.png: is a label map.*--labels disc="):
        MaskFile(path, "half", target="disc").read(SHAPE)


def test_label_map_in_floating_point_is_refused(put: Put) -> None:
    path = put("a.tif", map_of(1, 2, dtype=np.float32))
    with pytest.raises(UnclearMaskError, match="labels 1, 2, and nothing says"):
        MaskFile(path, "half", target="cup").read(SHAPE)


def test_palette_of_an_annotation_program_is_refused(tmp_path: Path) -> None:
    image = Image.fromarray(map_of(1, 2)).convert("P")
    image.putdata(map_of(1, 2).ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "a.png")
    with pytest.raises(UnclearMaskError, match="labels 1, 2"):
        MaskFile(tmp_path / "a.png", "half", target="disc").read(SHAPE)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_label_map_in_a_lossy_format_is_refused(put: Put, name: str) -> None:
    with pytest.raises(UnclearMaskError, match="save it as PNG"):
        MaskFile(put(name, map_of(20, 40)), "half", target="disc", labels=(20,)).read(SHAPE)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (map_of(255, 255), RIM),
        (map_of(1, 1), RIM),
        (map_of(200, 200), RIM),
        (map_of(65535, 65535, dtype=np.uint16), RIM),
        (map_of(0, 0), RIM & False),
        (map_of(64, 191), CUP),  # of four experts
    ],
    ids=["255", "1", "200", "65535", "empty", "soft"],
)
def test_masks_are_no_label_maps(put: Put, values: np.ndarray, expected: np.ndarray) -> None:
    mask = MaskFile(put("a.png", values), "half", target="disc").read(SHAPE)
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("size", [(16, 12), (20, 15), (40, 30)])
def test_soft_edges_are_no_labels(size: tuple[int, int], tmp_path: Path) -> None:
    image = Image.fromarray(map_of(255, 255)).resize(size, Image.Resampling.BILINEAR)
    image.save(tmp_path / "a.png")
    values = np.asarray(image)
    mask = MaskFile(tmp_path / "a.png", "half", target="disc").read(size[::-1])
    np.testing.assert_array_equal(mask, values > 127.5)


def test_labels_of_the_user_are_read(put: Put) -> None:
    path = put("a.png", map_of(1, 2))
    for labels, expected in (((1, 2), RIM), ((2,), CUP), ((7,), CUP & False)):
        mask = MaskFile(path, "half", target="disc", labels=labels).read(SHAPE)
        np.testing.assert_array_equal(mask, expected)


def test_plain_mask_among_label_maps_stays_one(put: Put) -> None:
    mask = MaskFile(put("a.png", RIM), "half", target="disc", labels=(2,)).read(SHAPE)
    np.testing.assert_array_equal(mask, RIM)


def test_zero_and_one_among_label_maps_are_labels(put: Put) -> None:
    file = MaskFile(put("a.png", map_of(1, 1)), "half", target="cup", labels=(2,))
    assert not file.read(SHAPE).any()


def test_export_with_its_legend_is_read_back(tmp_path: Path) -> None:
    vessel = np.zeros(SHAPE, bool)
    vessel[:, 8:10] = True
    masks = {"vessel": vessel, "disc": RIM, "cup": CUP}
    path = save_label_map(tmp_path / "a.png", masks)[0]
    for target in ("vessel", "disc", "cup"):  # the cup and a vessel hide a part of the disc
        mask = MaskFile(path, "half", target=target).read(SHAPE)
        np.testing.assert_array_equal(mask, masks[target])
    assert not MaskFile(path, "half", target="cup").read(SHAPE)[~CUP].any()


@pytest.mark.parametrize("disc", [[1, 2], {"value": [1, 2]}])
def test_legend_of_a_folder_is_read(put: Put, disc: object) -> None:
    put("legend.json", {"labels": {"disc": disc, "cup": 2}})
    path = put("a.png", map_of(1, 2))
    np.testing.assert_array_equal(MaskFile(path, "half", target="disc").read(SHAPE), RIM)
    np.testing.assert_array_equal(MaskFile(path, "half", target="cup").read(SHAPE), CUP)
    with pytest.raises(UnclearMaskError, match="no label of vessel, only of: disc, cup"):
        MaskFile(path, "half", target="vessel").read(SHAPE)
    np.testing.assert_array_equal(
        MaskFile(put("b.png", RIM), "half", target="vessel").read(SHAPE), RIM
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"labels": 1}',
        '{"labels": {"disc": "2"}}',
        '{"labels": {"disc": []}}',
        '{"labels": {"disc": true}}',
        '{"labels": {"disc": {}}}',
        '{"labels": {"disc": 1}, "priority": 2}',
    ],
)
def test_damaged_legend_is_refused(put: Put, text: str) -> None:
    put("legend.json", text)
    with pytest.raises(ImageError, match=r"legend\.json: is "):
        MaskFile(put("a.png", map_of(1, 2)), "half", target="disc").read(SHAPE)


def test_field_of_view_has_no_labels(put: Put) -> None:
    with pytest.raises(UnclearMaskError, match="values 2, but a mask of two values is needed"):
        MaskFile(put("a.png", map_of(2, 2)), "half").read(SHAPE)


def test_labels_are_parsed() -> None:
    expected = {"disc": (1, 2), "cup": (2,)}
    for texts in (["disc=1+2", "cup=2"], ["disc=1+2,cup=2"], ["disc=1, 2, cup = 2"]):
        assert parse_labels(texts) == expected
    assert parse_labels([]) == {}


@pytest.mark.parametrize("text", ["", "2", "disc=", "disc=x", "disc=-1", "disc=1.5", "disc=1++2"])
def test_invalid_labels_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="Labels are given as disc=2"):
        parse_labels([text])


def test_labels_of_an_unknown_target_are_refused() -> None:
    with pytest.raises(TargetError, match="'disk'"):
        parse_labels(["disk=2"])


def thin_lines(*labels: int) -> np.ndarray:
    values = np.zeros(SHAPE, np.uint8)
    values[5 : 5 + 6 * len(labels) : 6] = np.array(labels)[:, None]
    return values


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("labels", [(127, 255), (85, 170, 255), (1, 2, 255)])
def test_lines_of_several_labels_are_refused(put: Put, width: int, labels: tuple[int, ...]) -> None:
    values = np.repeat(thin_lines(*labels), width, axis=0)
    with pytest.raises(UnclearMaskError, match="is a label map"):
        MaskFile(put("a.png", values), "half", target="vessel").read(values.shape)


def pieces(count: int, dtype: type, spacing: int = 5) -> np.ndarray:
    """Return a map of numbered pieces of 4 × 4 pixels."""
    values = np.zeros((160, 200), dtype)
    for number in range(count):
        row, column = (spacing * part for part in divmod(number, 160 // spacing))
        values[row : row + 4, column : column + 4] = number + 1
    return values


@pytest.mark.parametrize(
    "values",
    [pieces(200, np.uint8), pieces(30, np.uint8), pieces(700, np.uint16), pieces(90, np.uint8, 4)],
    ids=["200", "sparse", "16 bits", "touching"],
)
def test_numbered_pieces_are_refused(put: Put, values: np.ndarray) -> None:
    with pytest.raises(UnclearMaskError, match=r"… \(\d+ in all\)"):
        MaskFile(put("a.tif", values), "half", target="vessel").read(values.shape)


@pytest.mark.parametrize("blur", [1, 5, 12])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_smooth_masks_are_no_label_maps(put: Put, blur: int, dtype: type) -> None:
    high = 1 if dtype is np.float32 else np.iinfo(dtype).max
    plain = np.kron(RIM | (thin_lines(1) > 0), np.ones((6, 6)))
    values = ndimage.gaussian_filter(plain * high, blur).astype(dtype)
    mask = MaskFile(put("a.tif", values), "half", target="disc").read(values.shape)
    np.testing.assert_array_equal(mask, values > high / 2)


def test_enlarged_shares_of_experts_are_no_label_map(tmp_path: Path) -> None:
    shares = np.kron(RIM * 64.0 + CUP * 64, np.ones((4, 4)))
    shares[40:50, 50:60] = 255
    image = Image.fromarray(shares.astype(np.uint8))
    image = image.resize((900, 700), Image.Resampling.BILINEAR)
    image.save(tmp_path / "a.png")
    values = np.asarray(image)
    mask = MaskFile(tmp_path / "a.png", "half", target="disc").read(values.shape)
    np.testing.assert_array_equal(mask, values > 127.5)


@pytest.mark.parametrize("labels", [(63, 255), (64, 255), (192, 255)])
def test_two_labels_are_no_shares_of_experts(put: Put, labels: tuple[int, int]) -> None:
    with pytest.raises(UnclearMaskError, match="is a label map"):
        MaskFile(put("a.png", map_of(*labels)), "half", target="disc").read(SHAPE)


@pytest.mark.parametrize("name", ["a.jpg", "a.jfif", "a.webp"])
@pytest.mark.parametrize("labels", [(128, 255), (255, 128)])
def test_third_peak_of_a_lossy_mask_is_refused(
    tmp_path: Path, name: str, labels: tuple[int, int]
) -> None:
    values = np.kron(map_of(*labels), np.ones((4, 4), np.uint8))
    Image.fromarray(np.repeat(values[..., None], 3, 2)).save(tmp_path / name, quality=90)
    with pytest.raises(UnclearMaskError, match="save it as PNG"):
        MaskFile(tmp_path / name, "half", target="disc").read(values.shape)


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("blur", [0, 6])
def test_lossy_mask_is_read(tmp_path: Path, quality: int, blur: int) -> None:
    plain = ndimage.gaussian_filter(np.kron(RIM, np.full((8, 8), 255.0)), blur)
    Image.fromarray(plain.astype(np.uint8)).save(tmp_path / "a.jpg", quality=quality)
    mask = MaskFile(tmp_path / "a.jpg", "half", target="disc").read(plain.shape)
    assert (mask == (plain > 127)).mean() > 0.98


@pytest.mark.parametrize("content", [{"disc": 1, "cup": 2}, {"disc": [1], "cup": [2], "vessel": 3}])
def test_cup_of_a_legend_is_a_part_of_its_disc(put: Put, content: dict[str, object]) -> None:
    put("legend.json", {"labels": content})
    path = put("a.png", map_of(1, 2))
    np.testing.assert_array_equal(MaskFile(path, "half", target="disc").read(SHAPE), RIM)
    np.testing.assert_array_equal(MaskFile(path, "half", target="cup").read(SHAPE), CUP)


def test_cup_that_the_user_names_is_a_part_of_its_disc() -> None:
    labels = {"disc": (1,), "cup": (2,), "vessel": (3,)}
    assert {name: with_parts(name, labels) for name in labels} == labels | {"disc": (1, 2)}
    assert with_parts("disc", {"disc": (1, 2), "cup": (2,)}) == (1, 2)


@pytest.mark.parametrize("legend", [False, True])
def test_disc_with_a_hole_of_another_label_is_refused(put: Put, *, legend: bool) -> None:
    if legend:
        put("legend.json", {"labels": {"disc": 1}})
    file = MaskFile(
        put("a.png", map_of(1, 2)), "half", target="disc", labels=() if legend else (1,)
    )
    with pytest.raises(UnclearMaskError, match=r"label 2 fills a hole.*--labels disc=1\+2"):
        file.read(SHAPE)


def test_vessels_over_a_disc_are_no_part_of_it(put: Put) -> None:
    values = map_of(1, 1)
    values[:, 12:14] = 3
    values[10] = 3
    mask = MaskFile(put("a.png", values), "half", target="disc", labels=(1,)).read(SHAPE)
    np.testing.assert_array_equal(mask, values == 1)


def test_photograph_is_not_two_toned() -> None:
    smooth = np.linspace(0, 255, 900).reshape(30, 30).astype(np.uint8)
    assert not is_two_toned(smooth)
    noisy_mask = np.where(smooth > 99, 250, 5).astype(np.int64)
    noise = np.random.default_rng(0).integers(-5, 6, smooth.shape)
    assert is_two_toned((noisy_mask + noise).clip(0, 255).astype(np.uint8))
