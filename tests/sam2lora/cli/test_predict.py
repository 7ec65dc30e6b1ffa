"""`sam2lora predict`: masks, output and bad input."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.result_files import FileResult
from sam2lora.models.loading import load_base
from sam2lora.settings import GeometrySettings
from sam2lora.targets import Target, save_target


@pytest.fixture
def pictures(tmp_path: Path, photo: NDArray[np.uint8]) -> Path:
    """Write a folder with images `a.png` and `b.png`."""
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "a.png")
    Image.fromarray(photo[::-1]).save(folder / "b.png")
    return folder


@pytest.fixture(scope="module")
def threshold(photo: NDArray[np.uint8]) -> float:
    """Return a threshold within the probabilities that nano predicts."""
    prepared = PreparedImage.of(photo)
    prediction = Predictor(load_base("nano")).predict(prepared, GeometrySettings()).probabilities
    return float(np.median(prediction[prepared.field.mask]))


@pytest.fixture(autouse=True)
def spot(threshold: float) -> None:
    """Add a target that is quick to segment and not empty."""
    save_target(Target(name="spot", label=9, color="#112233", threshold=threshold))


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Restore the log level that `--debug` changes."""
    yield
    logging.getLogger("sam2lora").setLevel(logging.NOTSET)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_masks_are_native_and_empty_outside_the_field(
    run_cli, pictures: Path, tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    out = tmp_path / "new" / "out"
    ran = run_cli("predict", pictures, "--target", "disc", "--target", "spot", "--out", out)
    assert (ran.code, ran.out) == (0, f"2 of 2 images segmented into {out}\n")
    assert ran.err == ""
    assert names(out) == ["a_disc.png", "a_spot.png", "b_disc.png", "b_spot.png"]
    field = find_field_of_view(photo).mask
    for name, inside in (
        ("a_spot.png", field),
        ("b_spot.png", find_field_of_view(photo[::-1]).mask),
    ):
        mask = np.asarray(Image.open(out / name))
        assert mask.shape == photo.shape[:2]
        assert set(np.unique(mask)) == {0, 255}
        assert not mask[~inside].any()


def test_all_built_in_targets_and_probabilities(run_cli, pictures: Path, tmp_path: Path) -> None:
    targets = [word for name in ("vessel", "disc", "cup") for word in ("--target", name)]
    out = tmp_path / "out"
    ran = run_cli("predict", pictures / "a.png", *targets, "--out", out, "--probabilities")
    assert ran.code == 0
    assert names(out) == sorted(
        name
        for target in ("vessel", "disc", "cup")
        for name in (f"a_{target}.png", f"a_{target}_probability.tif")
    )
    assert tifffile.imread(out / "a_vessel_probability.tif").dtype == np.float32


def test_repeated_target_is_segmented_once(run_cli, pictures: Path, tmp_path: Path) -> None:
    point = ("--point", "80,80")
    args = ("--target", "spot", "--target", "spot", *point, "--out", tmp_path / "out")
    assert run_cli("predict", pictures / "a.png", *args).code == 0


def test_points_and_boxes_change_the_prediction(run_cli, pictures: Path, tmp_path: Path) -> None:
    masks = []
    for number, prompts in enumerate(
        [[], ["--point", "60,80,+"], ["--point", "60,80,-"], ["--box", "40,50,90,100"]]
    ):
        out = tmp_path / str(number)
        args = ["--target", "spot", *prompts, "--out", out, "--probabilities"]
        assert run_cli("predict", pictures / "a.png", *args).code == 0
        masks.append(tifffile.imread(out / "a_spot_probability.tif"))
    for number, mask in enumerate(masks):
        assert all(np.abs(mask - other).max() > 1e-4 for other in masks[:number])


def test_field_sizes_are_averaged_and_leave_targets_without_tiles_alone(
    run_cli, pictures: Path, tmp_path: Path
) -> None:
    def probabilities(target: str, *sizes: int) -> NDArray[np.float32]:
        out = tmp_path / "-".join([target, *map(str, sizes)])
        options = [word for size in sizes for word in ("--field-size", size)]
        args = ("--target", target, "--out", out, "--probabilities", *options)
        assert run_cli("predict", pictures / "a.png", *args).code == 0
        return tifffile.imread(out / f"a_{target}_probability.tif")

    small, large = probabilities("vessel", 400), probabilities("vessel", 600)
    assert np.abs(small - large).max() > 0.01
    both = probabilities("vessel", 400, 600)
    np.testing.assert_allclose(both, (small + large) / 2, atol=1e-5)
    np.testing.assert_array_equal(probabilities("spot", 400), probabilities("spot"))


def test_conversions_are_said_once_each(run_cli, pictures: Path, tmp_path: Path) -> None:
    grey = Image.open(pictures / "a.png").convert("L")
    grey.save(pictures / "b.png")
    grey.save(pictures / "c.png")
    ran = run_cli("predict", pictures, "--target", "spot", "--out", tmp_path / "out")
    assert ran.out.splitlines()[1:] == ["2 converted on reading: grey to RGB"]


@pytest.mark.parametrize("side", [1, 8])
def test_tiny_image_is_refused_with_the_smallest_size(run_cli, tmp_path: Path, side: int) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (side, side), "red").save(path)
    ran = run_cli("predict", path, "--target", "disc", "--out", tmp_path / "out")
    assert ran.code == 2
    assert f"{path}: The image is {side} × {side} pixels" in ran.err
    assert "at least 16 × 16" in ran.err


def test_existing_mask_is_replaced_atomically(run_cli, pictures: Path, tmp_path: Path) -> None:
    """The new mask is another file, moved over the old one, which a reader may have open."""
    mask = tmp_path / "a_spot.png"
    args = ("predict", pictures / "a.png", "--target", "spot", "--out", tmp_path)
    assert run_cli(*args).code == 0
    expected = mask.read_bytes()
    mask.write_bytes(b"older")
    with mask.open("rb") as opened:
        assert run_cli(*args).code == 0
        assert opened.read() == b"older"
    assert mask.read_bytes() == expected
    assert names(tmp_path) == ["a_spot.png", "in"]


def test_bad_files_among_good_ones_are_listed_at_the_end(
    run_cli, pictures: Path, tmp_path: Path, quiet_log: None, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "aa[red].png").write_text("no image")
    (pictures / "c.tif").touch()
    out = tmp_path / "out[bold]"
    ran = run_cli("--debug", "predict", pictures, "--target", "spot", "--out", out)
    assert (ran.code, ran.out) == (1, f"2 of 4 images segmented into {out}\n")
    title, first, second = ran.err.splitlines()
    assert title == "2 failed:"
    assert first.startswith(f"{pictures / 'aa[red].png'}\tis not an image in a supported")
    assert second == (
        f"{pictures / 'c.tif'}\tthe file is empty (0 bytes). Copy it again from its source."
    )
    assert names(out) == ["a_spot.png", "b_spot.png"]
    logged = [record for record in caplog.records if record.name == "sam2lora.inference.batch"]
    assert [record.exc_info is not None for record in logged] == [True, True]


def test_bar_and_table_are_shown_on_a_terminal(
    run_cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "c.tif").touch()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    ran = run_cli("predict", pictures, "--target", "spot", "--out", tmp_path / "out")
    assert ran.code == 1
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ran.err)
    assert "Segmenting ━" in shown
    assert "3/3" in shown
    assert "1 failed:" in shown
    cells = [line.split("│") for line in shown.splitlines() if "│" in line]
    assert "".join(cell[1].strip() for cell in cells) == str(pictures / "c.tif")
    assert "the file is empty" in " ".join(cell[2].strip() for cell in cells)


def bomb(path: Path) -> None:
    Image.new("1", (9600, 9600)).save(path)


def truncated(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb")
    path.write_bytes(path.read_bytes()[:6000])


def nan(path: Path) -> None:
    values = np.full((64, 64), 0.5, np.float32)
    values[3, 5] = np.nan
    tifffile.imwrite(path, values)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.png", lambda path: None, "there is no such file"),
    "folder without images": ("folder", lambda path: path.mkdir(), "there is no image here"),
    "text": ("a.png", lambda path: path.write_text("hello"), "is not an image in a supported"),
    "truncated": ("a.tif", truncated, "damaged or truncated"),
    "empty": ("a.png", lambda path: path.touch(), "the file is empty (0 bytes)"),
    "stack": (
        "a.tif",
        lambda path: tifffile.imwrite(path, np.zeros((5, 32, 32), np.uint8)),
        "stack of shape (5, 32, 32)",
    ),
    "too large": ("a.png", bomb, "9600 × 9600 pixels are more than the limit"),
    "NaN": ("a.tif", nan, "holds NaN"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", BAD)
def test_single_bad_file_is_one_line_and_exit_code_2(run_cli, tmp_path: Path, kind: str) -> None:
    name, make, message = BAD[kind]
    make(tmp_path / name)
    out = tmp_path / "out"
    ran = run_cli("predict", tmp_path / name, "--target", "spot", "--out", out)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"error: {tmp_path / name}: ")
    assert message in line
    assert not out.exists() or names(out) == []


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--target", "iris"], "called 'iris'. There are: vessel, disc, cup, spot, fovea."),
        (["--model", "huge"], "No base model is called 'huge'. There are: nano"),
        (["--adapter", "none_such"], "no adapter called 'none_such'"),
        (["--device", "tpu"], "No device is called 'tpu'. There are: auto, cpu"),
        (["--precision", "float16", "--device", "cpu"], "float16 is for GPUs"),
        (["--point", "1,2,3,4"], "A point is written x,y,+"),
        (["--point", "here"], "A point is written x,y,+"),
        (["--point", "nan,3"], "not a finite number"),
        (["--point", "2,2"], "The point (2, 2) lies outside the field of view."),
        (["--point", "500,10,-"], "outside the image, which is 160 × 160 pixels"),
        (["--point", "80,80", "--target", "disc"], "there are 2 targets and 1 images"),
        (["--box", "9,9,5,20"], "A box is x0,y0,x1,y1 with x0 < x1"),
        (["--box", "1,2,3"], "A box is written x0,y0,x1,y1"),
        (["--box", "200,200,300,300"], "lies outside the field of view"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_one_line_and_exit_code_2(
    run_cli, pictures: Path, tmp_path: Path, args: list[str], expected: str
) -> None:
    out = tmp_path / "out"
    ran = run_cli("predict", pictures / "a.png", "--target", "spot", "--out", out, *args)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert not out.exists() or names(out) == []


def test_point_for_several_images_is_refused(run_cli, pictures: Path, tmp_path: Path) -> None:
    args = ("--target", "spot", "--point", "80,80", "--out", tmp_path / "out")
    ran = run_cli("predict", pictures, *args)
    assert (ran.code, ran.out) == (2, "")
    assert "there are 1 targets and 2 images" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["mine.pt", "mine.safetensors"])
def test_missing_or_corrupt_weights_are_refused_with_their_path(
    run_cli, pictures: Path, tmp_path: Path, name: str
) -> None:
    model = tmp_path / name
    args = ("--target", "spot", "--out", tmp_path / "out", "--model", model)
    missing = run_cli("predict", pictures, *args)
    model.write_bytes(os.urandom(1000))
    corrupt = run_cli("predict", pictures, *args)
    for ran in (missing, corrupt):
        assert (ran.code, ran.out) == (2, "")
        assert len(ran.err.splitlines()) <= 2
        assert ran.err.startswith(f"error: {model}: ")
    assert "there is no such file" in missing.err
    assert not (tmp_path / "out").exists()


def unwritable(tmp_path: Path) -> list[Path]:
    """Return paths where not even root can write."""
    (tmp_path / "file").write_text("in the way")
    places = [tmp_path / "file", tmp_path / "file" / "below"]
    return places + ([Path("/proc/sam2lora")] if sys.platform == "linux" else [])


def test_unwritable_folder_is_refused(run_cli, pictures: Path, tmp_path: Path) -> None:
    for out in unwritable(tmp_path):
        ran = run_cli("predict", pictures, "--target", "spot", "--out", out)
        assert (ran.code, ran.out) == (2, "")
        (line,) = ran.err.splitlines()
        assert line.startswith(f"error: {out}: cannot be written (")
        assert "choose another path." in line
    assert (tmp_path / "file").read_text() == "in the way"


def test_folder_with_the_name_of_a_mask_is_an_error(
    run_cli, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "b_spot.png").mkdir(parents=True)
    ran = run_cli("predict", pictures, "--target", "spot", "--out", out)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith(f"error: {out / 'b_spot.png'}: cannot be written (")
    assert names(out) == ["a_spot.png", "b_spot.png"]


def test_masks_do_not_replace_images(run_cli, pictures: Path) -> None:
    args = ("--target", "spot", "--out", pictures)
    for _ in range(2):  # the second time, its own masks lie among the images
        ran = run_cli("predict", pictures, *args)
        assert (ran.code, ran.out.partition(" images")[0]) == (0, "2 of 2")
    before = (pictures / "a_spot.png").read_bytes()
    ran = run_cli("predict", pictures / "a.png", pictures / "a_spot.png", *args)
    assert ran.code == 2
    assert "a_spot.png: is one of the images" in ran.err
    assert (pictures / "a_spot.png").read_bytes() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 16 KiB; skip the test if that is not possible."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small disk is made by root, on Linux")
    make = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if subprocess.run(make, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_an_error_and_leaves_complete_files(
    run_cli, pictures: Path, small_disk: Path
) -> None:
    args = ("--target", "spot", "--probabilities", "--out", small_disk)
    ran = run_cli("predict", pictures, *args)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert "cannot be written (No space left on device). Check the space" in line
    assert names(small_disk) == ["a_spot.png"]
    assert np.asarray(Image.open(small_disk / "a_spot.png")).shape == (160, 160)


def test_doubtful_masks_are_named_the_least_sure_first(
    run_cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        FileResult(Path("a.png"), confidence={"disc": 0.4, "vessel": None}),
        FileResult(Path("b.png"), confidence={"disc": 0.9, "cup": 0.04}),
    ]
    monkeypatch.setattr("sam2lora.inference.pipeline.segment_files", lambda *_, **__: iter(results))
    ran = run_cli("predict", pictures, "--target", "disc", "--out", tmp_path / "out")
    assert "2 of 3 masks are doubtful (confidence): b.png cup 0.04, a.png disc 0.40" in ran.out
