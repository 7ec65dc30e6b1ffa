"""Samples: every draw repeats, sets count the same, windows are those of prediction."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.errors import ImageError, Sam2LoraError
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.inference.prepared_image import PreparedImage, windows_of
from sam2lora.settings import AugmentSettings, GeometrySettings
from sam2lora.training.data_split import Item, plan_data
from sam2lora.training.dataset import TrainingDataset, TrainingSample, training_window
from sam2lora.training.settings import TrainSettings
from sam2lora.transforms.windows import full_window

Make = Callable[..., TrainSettings]

SIZE = 128


def samples_of(settings: TrainSettings) -> TrainingDataset:
    return TrainingDataset(plan_data(settings).groups, settings, size=SIZE, mask_size=SIZE // 4)


def test_a_sample_is_what_the_network_takes(make: Make) -> None:
    sample = samples_of(make(target="vessel")).draw(0)
    assert (sample.pixels.shape, sample.pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert (sample.mask.shape, sample.mask.dtype) == ((SIZE, SIZE), np.bool_)
    assert (sample.valid.shape, sample.valid.dtype) == ((SIZE, SIZE), np.bool_)
    assert len(sample.prompts) == 1
    assert sample.mask.any()
    assert sample.name.endswith(".png")


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(make: Make) -> None:
    samples = samples_of(make())
    epochs = [[samples.draw(6 * epoch + n).name for n in range(6)] for epoch in range(4)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_sets_count_the_same_whatever_their_size(
    make: Make, eyes: Path, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    more = write_eyes(tmp_path / "more", patients=2, first=20)
    samples = samples_of(make(data=[{"root": str(eyes)}, {"root": str(more)}]))
    drawn = [samples.draw(number).name for number in range(24)]
    assert [str(more) in name for name in drawn] == [False, True] * 12
    assert Counter(Counter(drawn).values()) == {2: 6, 6: 2}


@pytest.mark.parametrize("target", ["disc", "vessel"])
def test_points_lie_on_the_mask_as_the_network_sees_it(make: Make, target: str) -> None:
    mix = {"none": 0, "points": 1, "box": 0, "box_and_points": 0, "previous": 0}
    samples = samples_of(
        make(target=target, prompts=mix | {"positive": (3, 3), "negative": (2, 2)})
    )
    for number in range(6):
        sample = samples.draw(number)
        points = sample.prompts.points[0].numpy()
        labels = sample.prompts.labels[0].tolist()
        columns, rows = np.rint(points).astype(int).T
        assert labels == [1, 1, 1, 0, 0]
        assert sample.mask[rows, columns].tolist() == [label == 1 for label in labels]
        assert sample.valid[rows, columns].all()


def test_few_windows_come_again_when_their_features_are_kept(make: Make) -> None:
    samples = samples_of(make(freeze_encoder=True, start_from="some", variants=2))
    drawn = [samples.draw(number) for number in range(24)]  # 6 images, 4 epochs
    assert len({sample.key for sample in drawn}) == 12
    assert Counter(Counter(sample.key for sample in drawn).values()) == {2: 12}
    by_key: dict[str, TrainingSample] = {}
    for sample in drawn:
        first = by_key.setdefault(sample.key, sample)
        assert np.array_equal(first.pixels, sample.pixels)
        assert np.array_equal(first.mask, sample.mask)
    assert len({sample.pixels.tobytes() for sample in by_key.values()}) == 12
    # The prompts are new each time.
    assert len({sample.prompts.shape_key for sample in drawn}) > 1


def test_without_kept_features_no_window_has_a_key(make: Make) -> None:
    assert samples_of(make()).draw(0).key == ""


def test_each_grader_s_masks_are_that_grader_s(make: Make, eyes: Path, tmp_path: Path) -> None:
    record = next(item.record for group in plan_data(make()).groups for item in group)
    second = tmp_path / "second.png"
    Image.fromarray(np.full((128, 128), 255, np.uint8)).save(second)
    graders = (*record.masks["disc"], MaskFile(second, "half"))
    two = replace(record, masks={"disc": graders})
    settings = make(augment=AugmentSettings.off().model_dump())
    groups = [[Item(two, "disc", 1)], [Item(two, "disc", 2)], [Item(two, "disc", "union")]]
    samples = TrainingDataset(groups, settings, size=SIZE, mask_size=SIZE // 4)
    areas = [int((sample.mask & sample.valid).sum()) for sample in map(samples.draw, range(3))]
    assert areas[0] < areas[1] == areas[2]


def test_a_sample_that_cannot_be_made_is_given_as_its_error(
    make: Make, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_eyes(tmp_path / "eyes")
    samples = samples_of(make(data=[{"root": str(root)}]))
    broken = Path(samples.draw(0).name)
    broken.write_bytes(broken.read_bytes()[:300])
    fresh = samples_of(make(data=[{"root": str(root)}]))
    with pytest.raises(ImageError, match=broken.name):
        fresh.draw(0)
    assert isinstance(fresh[0], Sam2LoraError)


def prepared() -> tuple[PreparedImage, np.ndarray]:
    pixels = np.zeros((200, 300, 3), np.uint8)
    rows, columns = np.mgrid[:200, :300]
    pixels[(rows - 100) ** 2 + (columns - 150) ** 2 < 95**2] = 120
    mask = np.zeros((200, 300), bool)
    mask[90:110, 180:200] = True
    return PreparedImage.of(pixels, field=find_field_of_view(pixels)), mask


def windows(detail: str, mask: np.ndarray, count: int = 200) -> list:
    seen, _ = prepared()
    rng = np.random.default_rng(1)
    geometry = GeometrySettings(detail=detail, field_size=400)
    return [training_window(seen.field, mask, geometry, SIZE, rng) for _ in range(count)]


@pytest.mark.parametrize("detail", ["whole", "squash"])
def test_one_window_is_that_of_prediction(detail: str) -> None:
    seen, mask = prepared()
    geometry = GeometrySettings(detail=detail)
    assert set(windows(detail, mask, 5)) == set(windows_of(seen, geometry, SIZE))


def test_tiles_have_the_scale_of_prediction_and_half_are_on_the_target() -> None:
    seen, mask = prepared()
    predicted = windows_of(seen, GeometrySettings(detail="tiles", field_size=400), SIZE)
    drawn = windows("tiles", mask)
    assert {round(one.width, 6) for one in drawn} == {round(predicted[0].width, 6)}
    centers = [(one.left + one.width / 2, one.top + one.height / 2) for one in drawn]
    inside = [seen.field.mask[round(y - 0.5), round(x - 0.5)] for x, y in centers]
    on_target = [mask[round(y - 0.5), round(x - 0.5)] for x, y in centers]
    assert all(inside)
    assert 0.4 < np.mean(on_target) < 0.6
    assert len(set(centers)) > 100


def test_zooms_are_the_field_or_a_crop_that_holds_the_target() -> None:
    seen, mask = prepared()
    drawn = windows("zoom", mask)
    geometry = GeometrySettings(detail="zoom")
    whole = full_window(seen.field, SIZE, margin=geometry.margin)
    crops = [one for one in drawn if one != whole]
    assert 70 < len(crops) < 130
    for crop in crops:
        assert crop.width == pytest.approx(geometry.zoom_share * seen.field.diameter, rel=0.02)
        assert crop.left <= 190 <= crop.left + crop.width
        assert crop.top <= 100 <= crop.top + crop.height
    assert len({(crop.left, crop.top) for crop in crops}) > 50


@pytest.mark.parametrize("detail", ["tiles", "zoom"])
def test_an_image_without_the_target_is_shown_too(detail: str) -> None:
    drawn = windows(detail, np.zeros((200, 300), bool), 10)
    assert len(set(drawn)) == (10 if detail == "tiles" else 1)


def test_only_the_main_target_is_asked_for_without_a_prompt(make: Make) -> None:
    mix = {"none": 1, "points": 0.2, "box": 0.2, "previous": 0.2}
    samples = samples_of(make(target="vessel", also=("disc",), train="base", prompts=mix))
    drawn = [samples.draw(number) for number in range(40)]  # the two take turns
    silent = [sample.prompts.is_empty for sample in drawn]
    assert any(silent[0::2])
    assert not any(silent[1::2])


def test_tiles_are_centered_on_what_counts(photo: np.ndarray) -> None:
    field = find_field_of_view(photo)
    mask = np.zeros(photo.shape[:2], bool)
    mask[70:90, 20:140] = True
    valid = field.mask.copy()
    valid[:, :80] = False
    geometry = GeometrySettings(detail="tiles", field_size=300)
    rng = np.random.default_rng(0)
    for _ in range(20):
        frame = training_window(field, mask, geometry, 64, rng, valid=valid)
        x, y = frame.to_native(np.array([[31.5, 31.5]]))[0]
        assert valid[round(y), round(x)]
