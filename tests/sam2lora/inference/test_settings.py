"""Settings of a prediction, and the command that they stand for."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from sam2lora.errors import AdapterError, GeometryError, ImageError, SettingsError
from sam2lora.inference.settings import PredictSettings, command_args, command_line, merge_targets
from sam2lora.prompts.user_prompts import PointPrompt

PLAIN: dict[str, Any] = {"images": ("a b.png",), "targets": ("disc",), "out": "masks"}


def test_command_leaves_out_defaults():
    args = command_args(PredictSettings(**PLAIN))
    assert args == [
        *("sam2lora", "predict", "a b.png", "--target", "disc", "--out", "masks"),
        *("--model", "nano"),
    ]


def test_command_line_is_quoted_for_the_shell(monkeypatch: pytest.MonkeyPatch):
    args = command_args(PredictSettings(**PLAIN | {"images": ("it's $5 & more.png",)}))
    assert shlex.split(command_line(args)) == args
    monkeypatch.setattr("os.name", "nt")
    assert '"it\'s $5 & more.png"' in command_line(args)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": ()},
        {"no_such": 1},
        {"detail": "blurred"},
    ],
)
def test_invalid_settings_are_refused(change: dict[str, Any]):
    with pytest.raises(ValidationError):
        PredictSettings(**PLAIN | change)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"no_adapter": True, "adapter": "mine"}, AdapterError, "Leave one out"),
        ({"threshold": 1.0}, SettingsError, r"between 0 and 1, not 1\.0"),
        ({"threshold": float("nan")}, SettingsError, "between 0 and 1, not nan"),
        ({"points": (PointPrompt(float("inf"), 1),)}, GeometryError, "not a finite number"),
        ({"box": (1, 2, float("nan"), 4)}, GeometryError, "not a finite number"),
        ({"box": (9, 9, 5, 20)}, GeometryError, "x0 < x1"),
    ],
)
def test_contradictory_settings_are_refused_by_option_name(
    change: dict[str, Any], error: type[Exception], text: str
):
    with pytest.raises(error, match=text):
        PredictSettings(**PLAIN | change)


def test_prompts_are_for_one_target_in_one_image():
    settings = PredictSettings(**PLAIN, points=(PointPrompt(1, 2),))
    settings.check_prompts_fit(1)
    with pytest.raises(GeometryError, match="1 targets and 2 images"):
        settings.check_prompts_fit(2)
    two = settings.model_copy(update={"targets": ("disc", "cup")})
    with pytest.raises(GeometryError, match="2 targets and 1 images"):
        two.check_prompts_fit(1)
    PredictSettings(**PLAIN).check_prompts_fit(9)


def test_settings_that_differ_in_targets_only_are_merged():
    disc = PredictSettings(**PLAIN)
    cup = disc.model_copy(update={"targets": ("cup",)})
    vessel = disc.model_copy(update={"targets": ("vessel",), "threshold": 0.3})
    first, second = merge_targets([disc, vessel, cup])
    assert first.targets == ("disc", "cup")
    assert second == vessel


def test_command_predicts_the_same_as_its_settings(
    run_cli, tmp_path: Path, photo: NDArray[np.uint8]
):
    """All settings are written as arguments, and parsed to the same settings."""
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.prepared_image import PreparedImage
    from sam2lora.inference.segment import segment_prepared
    from sam2lora.inference.tasks import tasks_of
    from sam2lora.models.loading import load_base

    image, painted = tmp_path / "an eye.png", np.zeros(photo.shape[:2], bool)
    painted[60:90, 50:80] = True
    Image.fromarray(photo).save(image)
    Image.fromarray(painted).save(tmp_path / "painted.png")
    settings = PredictSettings(
        images=(str(image),),
        targets=("cup",),
        out=str(tmp_path / "out"),
        no_adapter=True,
        points=(PointPrompt(70.25, 1 / 3 + 80), PointPrompt(90, 60, positive=False)),
        box=(-3.5, 40.0, 100.0, 99.75),
        mask=str(tmp_path / "painted.png"),
        detail="whole",
        threshold=0.4999,
        device="cpu",
        precision="float32",
        tta=True,
        probabilities=True,
    )
    ran = run_cli(*command_args(settings)[1:])
    assert ran.code == 0, ran.err
    base = load_base("nano")
    predictor = Predictor(base, device="cpu", precision="float32")
    expected = segment_prepared(predictor, PreparedImage.of(photo), tasks_of(settings, base))["cup"]
    written = np.asarray(Image.open(tmp_path / "out" / "an eye_cup.png")) > 0
    np.testing.assert_array_equal(written, expected.mask)
    without = settings.model_copy(update={"mask": None})
    other = segment_prepared(predictor, PreparedImage.of(photo), tasks_of(without, base))["cup"]
    assert np.abs(other.probabilities - expected.probabilities).max() > 1e-4


def settings_with_mask(folder: Path, values: NDArray[Any]) -> PredictSettings:
    """Return settings with a previous mask of an image that a camera turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((8, 12, 3), 90, np.uint8)).save(folder / "eye.png", exif=exif)
    Image.fromarray(values).save(folder / "mask.png")
    return PredictSettings(
        images=(str(folder / "eye.png"),),
        targets=("disc",),
        out="out",
        mask=str(folder / "mask.png"),
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.eye(12, 8) * 2, "is a label map with the labels 2"),
        (255 - np.eye(12, 8) * 255, "the mask of disc covers 9.% of the image.*inverted"),
        (np.zeros((12, 8)), "nothing is marked"),
    ],
)
def test_previous_mask_that_cannot_be_meant_is_refused(
    tmp_path: Path, values: NDArray[Any], message: str
):
    settings = settings_with_mask(tmp_path, values.astype(np.uint8))
    with pytest.raises(ImageError, match=rf"mask\.png: .*{message}"):
        settings.prompts()


def test_previous_mask_is_read_upright_with_its_legend(tmp_path: Path):
    values = np.zeros((8, 12), np.uint8)
    values[1:3, 2:5] = 2
    (tmp_path / "mask_legend.json").write_text('{"labels": {"disc": 2}}')
    mask = settings_with_mask(tmp_path, values).prompts().mask
    np.testing.assert_array_equal(mask, np.rot90(values == 2, -1))
