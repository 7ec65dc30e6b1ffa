"""`sam2lora demo`: masks, a picture and measurements of one image, given or drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings

FILES = {"vessel.png", "disc.png", "cup.png", "overlay.png", "green.png", "clahe.png"}


def written(folder: Path, stem: str) -> set[str]:
    """Return the written files without the stem of the image; every picture opens."""
    for path in folder.glob("*.png"):
        Image.open(path).load()
    assert all(path.name.startswith(stem) for path in folder.iterdir())
    return {path.name.removeprefix(stem).lstrip("_") for path in folder.iterdir()}


def test_demo_without_image_draws_and_compares_a_sample(
    run_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = draw_fundus(7, SyntheticSettings(size=320))
    monkeypatch.setattr("sam2lora.synthetic.draw_fundus", lambda seed: small)
    ran = run_cli("demo", "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert written(tmp_path / "out", "sample") == FILES | {"overview.png", ".json"}
    report = json.loads((tmp_path / "out" / "sample.json").read_text(encoding="utf-8"))
    assert report["model"]["name"] == "nano"
    assert set(report["segmented"]["structures"]) == {"vessel", "disc", "cup"}
    assert set(report["segmented"]["expected_iou"]) == {"vessel", "disc", "cup"}
    disc = report["manual"]["structures"]["disc"]["area_px"]
    assert disc == small.masks["disc"].sum()
    assert report["image"]["eye"] == small.eye
    stages = {"read", "load the model", "segment vessel", "measure", "write", "draw the picture"}
    assert stages <= set(report["seconds"])
    for stage in stages:
        assert f"{stage}  " in ran.out
    for name in ("sample_<target>.png", "sample_overview.png", "sample.json"):
        assert str(tmp_path / "out" / name) in ran.out


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
def test_demo_writes_all_results_for_an_image_of_any_name(
    run_cli, tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    name = "眼 $_$ [red]:smile:"
    Image.fromarray(photo[:, 10:150]).save(tmp_path / f"{name}.png")
    out = tmp_path / "out[/bold]"
    ran = run_cli("demo", tmp_path / f"{name}.png", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert written(out, name) == FILES | {"overview.png", ".json"}
    assert str(out / f"{name}.json") in ran.out
    for kind in ("vessel", "disc", "cup", "overlay", "green", "clahe"):
        assert Image.open(out / f"{name}_{kind}.png").size == (140, 160)
    report = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    assert (report["image"]["width"], report["image"]["height"]) == (140, 160)
    assert report["manual"] is None


def test_demo_compares_an_image_of_a_dataset_with_its_masks(
    run_cli, tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    disc = np.zeros(photo.shape[:2], np.uint8)
    disc[70:90, 60:90] = 255
    image, mask = tmp_path / "images" / "p1_left.png", tmp_path / "masks" / "disc" / "p1_left.png"
    for path, pixels in ((image, photo), (mask, disc)):
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    assert run_cli("demo", image, "--out", tmp_path / "out").code == 0
    report = json.loads((tmp_path / "out" / "p1_left.json").read_text(encoding="utf-8"))
    assert report["manual"]["structures"]["disc"]["area_px"] == 600
    assert report["image"]["eye"] == "left"

    Image.fromarray(disc[:100]).save(mask)
    ran = run_cli("demo", image, "--out", tmp_path / "new")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {mask}: ")
    assert "160 × 100" in ran.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("image", "device", "message"),
    [
        ("missing.png", "auto", "there is no such file"),
        ("text.png", "auto", "is not an image in a supported format"),
        (".", "auto", "is a folder"),
        ("a.png", "tpu", "No device is called 'tpu'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run_cli, tmp_path: Path, photo: NDArray[np.uint8], image: str, device: str, message: str
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("hello")
    out = tmp_path / "out"
    ran = run_cli("demo", tmp_path / image, "--out", out, "--device", device)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not out.exists() or list(out.iterdir()) == []


def test_unwritable_folder_is_refused_before_the_network_is_loaded(
    run_cli, tmp_path: Path, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    monkeypatch.setattr(
        "sam2lora.inference.pipeline.load_base", lambda *_, **__: pytest.fail("was loaded")
    )
    ran = run_cli("demo", tmp_path / "a.png", "--out", tmp_path / "a.png")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {tmp_path / 'a.png'}: cannot be written (")


def test_real_image(run_cli, tmp_path: Path, real_data: Path) -> None:
    image = real_data / "DRIVE/test/images/01_test.tif"
    assert run_cli("demo", image, "--out", tmp_path).code == 0
    report = json.loads((tmp_path / "01_test.json").read_text(encoding="utf-8"))
    assert report["field_of_view"]["found"] == "circle"
    assert 0.1 < report["manual"]["vessel_density"] < 0.15
