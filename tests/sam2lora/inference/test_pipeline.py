"""Prediction from Python: loading a model, one image, many files, and tasks of settings."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sam2lora.errors import (
    AdapterError,
    DeviceError,
    GeometryError,
    ImageError,
    ModelError,
    SettingsError,
    TargetError,
)
from sam2lora.images.reading import FundusImage
from sam2lora.inference import pipeline
from sam2lora.inference.batch import BatchProgress
from sam2lora.inference.pipeline import (
    load_predictor,
    segment_files,
    segment_image,
)
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, TargetPrediction, segment_prepared
from sam2lora.inference.settings import PredictSettings
from sam2lora.models.loading import LoadedModel, load_base
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.targets import TARGETS, Target


@pytest.fixture(scope="module")
def nano() -> LoadedModel:
    return load_base("nano")


@pytest.fixture
def predictor(pocket_base: LoadedModel, one_thread: None) -> Predictor:
    base = replace(pocket_base, network=copy.deepcopy(pocket_base.network))
    return Predictor(base, device="cpu", precision="float32")


@pytest.fixture
def no_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a network is loaded: input must be checked before."""
    monkeypatch.setattr(pipeline, "load_base", lambda *_, **__: pytest.fail("was loaded"))


@pytest.fixture
def image_files(tmp_path: Path, photo: NDArray[np.uint8]) -> list[Path]:
    paths = [tmp_path / "in" / f"{name}.png" for name in "ab"]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        Image.fromarray(np.rot90(photo, number)).save(path)
    return paths


def settings_for(image_files: list[Path], out: Path, **changes: Any) -> PredictSettings:
    plain = {"images": (str(image_files[0].parent),), "targets": ("disc",), "out": str(out)}
    return PredictSettings(**plain | changes)


def test_load_predictor_uses_the_device_and_precision_it_is_given():
    predictor = load_predictor("nano", device="cpu", precision="float32")
    assert (predictor.base.spec.name, predictor.device.type) == ("nano", "cpu")
    assert predictor.precision == "float32"
    with pytest.raises(DeviceError, match="tpu"):
        load_predictor(device="tpu")
    with pytest.raises(ModelError, match="huge"):
        load_predictor("huge")


def test_segment_image_takes_files_images_arrays_and_prepared_images(
    predictor: Predictor, image_files: list[Path], photo: NDArray[np.uint8]
):
    grey = np.ascontiguousarray(photo[..., 1])
    prepared = PreparedImage.of(photo)
    task = SegmentationTask.of(TARGETS["disc"])
    expected = segment_prepared(predictor, prepared, [task])["disc"]
    for image in (image_files[0], str(image_files[0]), FundusImage(photo), photo, prepared):
        (found,) = segment_image(image, "disc", predictor=predictor).values()
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        np.testing.assert_array_equal(found.mask, expected.mask)
    assert segment_image(grey, "disc", predictor=predictor)["disc"].mask.shape == photo.shape[:2]


def test_segment_image_takes_several_targets_each_once(
    predictor: Predictor, photo: NDArray[np.uint8]
):
    own = Target(name="spot", label=9, color="#112233")
    found = segment_image(photo, ["disc", own, "disc"], predictor=predictor)
    assert list(found) == ["disc", "spot"]
    assert all(prediction.mask.dtype == bool for prediction in found.values())


def test_segment_image_uses_prompts_adapter_and_threshold(
    predictor: Predictor, photo: NDArray[np.uint8], make_adapter: Any
):
    def segmented(**options: Any) -> TargetPrediction:
        return segment_image(photo, "disc", predictor=predictor, **options)["disc"]

    adapter = make_adapter(source=predictor.base, target=TARGETS["disc"])
    plain = segmented()
    for options in (
        {"prompts": Prompts((PointPrompt(80, 80),))},
        {"adapter": adapter.folder},
        {"detail": "whole"},
        {"tta": True},
    ):
        other = segmented(**options)
        assert np.abs(other.probabilities - plain.probabilities).max() > 1e-4, options
    threshold = float(np.median(plain.probabilities[plain.probabilities > 0]))
    mask = segmented(threshold=threshold).mask
    np.testing.assert_array_equal(mask, plain.probabilities >= threshold)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"targets": "iris"}, TargetError, "iris"),
        ({"threshold": 2.0}, SettingsError, "between 0 and 1"),
        ({"adapter": "mine", "no_adapter": True}, AdapterError, "Leave one out"),
        ({"image": "missing.png"}, ImageError, "there is no such file"),
        ({"image": np.zeros((4, 5, 6, 3), np.uint8)}, ImageError, "not a single image"),
        (
            {"targets": ["disc", "cup"], "prompts": Prompts((PointPrompt(9, 9),))},
            GeometryError,
            "there are 2 targets and 1 images",
        ),
    ],
)
def test_segment_image_refuses_bad_input_before_it_loads_a_network(
    photo: NDArray[np.uint8],
    no_loading: None,
    options: dict[str, Any],
    error: type[Exception],
    text: str,
):
    with pytest.raises(error, match=text):
        segment_image(**{"image": photo, "targets": "disc"} | options)


def test_segment_image_loads_the_embedded_model_by_default(photo: NDArray[np.uint8]):
    assert segment_image(photo, "disc")["disc"].mask.shape == photo.shape[:2]


def test_segment_files_uses_all_settings(
    image_files: list[Path],
    tmp_path: Path,
    pocket_base: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
):
    loaded: list[object] = []

    def load(model: str, *, progress: object) -> LoadedModel:
        loaded.append(model)
        return replace(pocket_base, network=copy.deepcopy(pocket_base.network))

    monkeypatch.setattr(pipeline, "load_base", load)
    out = tmp_path / "out"
    (out / "a_disc.png").parent.mkdir()
    (out / "a_disc.png").write_text("corrected")
    settings = settings_for(
        image_files,
        out,
        model="tiny.pt",
        device="cpu",
        no_adapter=True,
        probabilities=True,
        keep=True,
    )
    shown: list[BatchProgress] = []
    first, second = segment_files(settings, progress=shown.append)
    assert loaded == ["tiny.pt"]
    assert (first.kept, set(second.files)) == (("disc",), {"disc"})
    assert sorted(path.name for path in out.iterdir()) == [
        *("a_disc.png", "b_disc.png", "b_disc_probability.tif")
    ]
    assert (shown[-1].path, shown[-1].done, shown[-1].total) == (image_files[1], 2.0, 2)


def test_segment_files_does_several_settings_in_one_pass(
    predictor: Predictor, image_files: list[Path], tmp_path: Path, no_loading: None
):
    disc = settings_for(image_files, tmp_path / "out")
    cup = disc.model_copy(update={"targets": ("cup",), "detail": "whole", "threshold": 0.3})
    results = list(segment_files([disc, cup], predictor=predictor))
    assert [result.path for result in results] == image_files
    assert [set(result.files) for result in results] == [{"disc", "cup"}] * 2
    elsewhere = cup.model_copy(update={"out": str(tmp_path / "other")})
    with pytest.raises(SettingsError, match="the same out"):
        segment_files([disc, elsewhere], predictor=predictor)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"targets": ("iris",)}, TargetError, "iris"),
        ({"images": ("missing*.png",)}, ImageError, "there is no image here"),
        ({"points": (PointPrompt(1, 2),)}, GeometryError, "1 targets and 2 images"),
    ],
)
def test_segment_files_refuses_bad_input_before_it_loads_a_network(
    image_files: list[Path],
    tmp_path: Path,
    no_loading: None,
    change: dict[str, Any],
    error: type[Exception],
    text: str,
):
    with pytest.raises(error, match=text):
        segment_files(settings_for(image_files, tmp_path / "out", **change))
    assert not (tmp_path / "out").exists()


def test_nothing_to_segment_is_refused_instead_of_doing_nothing() -> None:
    with pytest.raises(TargetError, match="at least one"):
        segment_image(np.zeros((64, 64, 3), np.uint8), [])
    with pytest.raises(SettingsError, match="no settings"):
        segment_files([])
