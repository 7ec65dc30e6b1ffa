"""Training samples: reproducible, datasets sampled equally, windows as in prediction."""

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
from sam2lora.transforms.windows import full_window
from sam2lora.transforms.zoom import BoundingBox

from .helpers import Make, dataset_of

SIZE = 128


def test_sample_has_the_format_of_the_network(make: Make) -> None:
    sample = dataset_of(make(target="vessel")).sample(0)
    assert (sample.pixels.shape, sample.pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert (sample.mask.shape, sample.mask.dtype) == ((SIZE, SIZE), np.bool_)
    assert (sample.valid.shape, sample.valid.dtype) == ((SIZE, SIZE), np.bool_)
    assert len(sample.prompts) == 1
    assert sample.mask.any()
    assert sample.name.endswith(".png")


def test_epoch_sees_every_image_once_in_a_new_order(make: Make) -> None:
    dataset = dataset_of(make())
    epochs = [[dataset.sample(6 * epoch + n).name for n in range(6)] for epoch in range(4)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_datasets_are_sampled_equally_often(
    make: Make, eyes: Path, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    more = write_eyes(tmp_path / "more", patients=2, first=20)
    dataset = dataset_of(make(data=[{"root": str(eyes)}, {"root": str(more)}]))
    drawn = [dataset.sample(number).name for number in range(24)]
    assert [str(more) in name for name in drawn] == [False, True] * 12
    assert Counter(Counter(drawn).values()) == {2: 6, 6: 2}


@pytest.mark.parametrize("target", ["disc", "vessel"])
def test_points_lie_on_the_augmented_mask(make: Make, target: str) -> None:
    sampling = {"none": 0, "points": 1, "box": 0, "box_and_points": 0, "previous": 0}
    dataset = dataset_of(
        make(target=target, prompts=sampling | {"positive": (3, 3), "negative": (2, 2)})
    )
    for number in range(6):
        sample = dataset.sample(number)
        points = sample.prompts.points[0].numpy()
        labels = sample.prompts.labels[0].tolist()
        columns, rows = np.rint(points).astype(int).T
        assert labels == [1, 1, 1, 0, 0]
        assert sample.mask[rows, columns].tolist() == [label == 1 for label in labels]
        assert sample.valid[rows, columns].all()


def test_share_of_the_images_gets_the_colors_of_another_one(make: Make) -> None:
    plain, restyled = (
        dataset_of(make(target="disc", augment=AugmentSettings.off().model_dump() | changes))
        for changes in ({}, {"style_share": 0.5})
    )
    pairs = [(plain.sample(number), restyled.sample(number)) for number in range(24)]
    same = [np.array_equal(one.pixels, other.pixels) for one, other in pairs]
    assert 4 <= sum(same) <= 20
    for one, other in pairs:
        assert np.array_equal(one.mask, other.mask)
        dark = one.pixels.max(axis=-1) == 0
        assert not other.pixels[dark & ~one.valid].any()
    again = dataset_of(
        make(target="disc", augment=AugmentSettings.off().model_dump() | {"style_share": 0.5})
    )
    assert np.array_equal(again.sample(5).pixels, pairs[5][1].pixels)


def test_windows_repeat_when_features_are_cached(make: Make) -> None:
    dataset = dataset_of(make(freeze_encoder=True, start_from="some", variants=2))
    drawn = [dataset.sample(number) for number in range(24)]  # 6 images, 4 epochs
    assert len({sample.key for sample in drawn}) == 12
    assert Counter(Counter(sample.key for sample in drawn).values()) == {2: 12}
    by_key: dict[str, TrainingSample] = {}
    for sample in drawn:
        first = by_key.setdefault(sample.key, sample)
        assert np.array_equal(first.pixels, sample.pixels)
        assert np.array_equal(first.mask, sample.mask)
    assert len({sample.pixels.tobytes() for sample in by_key.values()}) == 12
    # The prompts differ each time.
    assert len({sample.prompts.shape_key for sample in drawn}) > 1


def test_windows_are_replaced_once_shown_in_every_orientation(make: Make) -> None:
    dataset = dataset_of(make("detail", start_from="some", variants=2))
    drawn = [dataset.sample(number) for number in range(2 * 6 * 2 * 8)]  # 6 images, 2 pools
    turns: dict[str, list[int]] = {}
    for sample in drawn:
        turns.setdefault(sample.key, []).append(sample.turn)
    assert len(turns) == 24
    assert all(sorted(found) == list(range(8)) for found in turns.values())
    assert len({tuple(found) for found in turns.values()}) > 20, "in an order of its own"
    assert {sample.key for sample in drawn[:96]}.isdisjoint(sample.key for sample in drawn[96:])
    of_one = [sample for sample in drawn if sample.key == drawn[0].key]
    assert all(np.array_equal(sample.pixels, of_one[0].pixels) for sample in of_one)


def test_windows_have_no_key_without_cached_features(make: Make) -> None:
    assert dataset_of(make()).sample(0).key == ""


def test_masks_are_those_of_the_requested_grader(make: Make, eyes: Path, tmp_path: Path) -> None:
    record = next(item.record for group in plan_data(make()).groups for item in group)
    second = tmp_path / "second.png"
    Image.fromarray(np.full((128, 128), 255, np.uint8)).save(second)
    graders = (*record.masks["disc"], MaskFile(second, "half"))
    two = replace(record, masks={"disc": graders})
    settings = make(augment=AugmentSettings.off().model_dump())
    groups = [[Item(two, "disc", 1)], [Item(two, "disc", 2)], [Item(two, "disc", "union")]]
    dataset = TrainingDataset(groups, settings, size=SIZE, mask_size=SIZE // 4)
    areas = [int((sample.mask & sample.valid).sum()) for sample in map(dataset.sample, range(3))]
    assert areas[0] < areas[1] == areas[2]


def test_unreadable_sample_is_returned_as_its_error(
    make: Make, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_eyes(tmp_path / "eyes")
    dataset = dataset_of(make(data=[{"root": str(root)}]))
    broken = Path(dataset.sample(0).name)
    broken.write_bytes(broken.read_bytes()[:300])
    dataset = dataset_of(make(data=[{"root": str(root)}]))
    with pytest.raises(ImageError, match=broken.name):
        dataset.sample(0)
    assert isinstance(dataset[0], Sam2LoraError)


def prepared() -> tuple[PreparedImage, np.ndarray]:
    pixels = np.zeros((200, 300, 3), np.uint8)
    rows, columns = np.mgrid[:200, :300]
    pixels[(rows - 100) ** 2 + (columns - 150) ** 2 < 95**2] = 120
    mask = np.zeros((200, 300), bool)
    mask[90:110, 180:200] = True
    return PreparedImage.of(pixels, field=find_field_of_view(pixels)), mask


def windows(detail: str, mask: np.ndarray, count: int = 200) -> list:
    image, _ = prepared()
    rng = np.random.default_rng(1)
    geometry = GeometrySettings(detail=detail, field_size=400)
    return [training_window(image.field, mask, geometry, SIZE, rng) for _ in range(count)]


@pytest.mark.parametrize("detail", ["whole", "squash"])
def test_full_window_is_that_of_prediction(detail: str) -> None:
    image, mask = prepared()
    geometry = GeometrySettings(detail=detail)
    assert set(windows(detail, mask, 5)) == set(windows_of(image, geometry, SIZE))


def test_tiles_have_prediction_scale_and_half_are_on_the_target() -> None:
    image, mask = prepared()
    predicted = windows_of(image, GeometrySettings(detail="tiles", field_size=400), SIZE)
    drawn = windows("tiles", mask)
    assert {round(window.width, 6) for window in drawn} == {round(predicted[0].width, 6)}
    centers = [(window.left + window.width / 2, window.top + window.height / 2) for window in drawn]
    inside = [image.field.mask[round(y - 0.5), round(x - 0.5)] for x, y in centers]
    on_target = [mask[round(y - 0.5), round(x - 0.5)] for x, y in centers]
    assert all(inside)
    assert 0.4 < np.mean(on_target) < 0.6
    assert len(set(centers)) > 100


def test_zoom_windows_are_the_field_or_a_crop_with_the_target() -> None:
    image, mask = prepared()
    drawn = windows("zoom", mask)
    geometry = GeometrySettings(detail="zoom")
    full = full_window(image.field, SIZE, margin=geometry.margin)
    crops = [window for window in drawn if window != full]
    assert 70 < len(crops) < 130
    for crop in crops:
        assert crop.width == pytest.approx(geometry.zoom_share * image.field.diameter, rel=0.02)
        assert crop.left <= 190 <= crop.left + crop.width
        assert crop.top <= 100 <= crop.top + crop.height
    assert len({(crop.left, crop.top) for crop in crops}) > 50


def test_crops_follow_the_extent_of_the_target() -> None:
    image, mask = prepared()
    geometry = GeometrySettings(detail="zoom", zoom_extent=2.5)
    rng = np.random.default_rng(1)
    drawn = [training_window(image.field, mask, geometry, SIZE, rng) for _ in range(200)]
    full = full_window(image.field, SIZE, margin=geometry.margin)
    crops = [window for window in drawn if window != full]
    assert 70 < len(crops) < 130
    sides = [crop.width / 19 for crop in crops]  # the target is 20 pixels wide
    assert min(sides) < 2
    assert max(sides) > 3
    assert all(
        crop.left <= 189.5 <= crop.left + crop.width and crop.top <= 99.5 <= crop.top + crop.height
        for crop in crops
    )


def test_target_in_another_one_is_shown_in_the_crop_around_that() -> None:
    image, mask = prepared()
    geometry = GeometrySettings(detail="zoom", zoom_extent=1.8)
    outer = BoundingBox(160, 70, 220, 130)
    rng = np.random.default_rng(1)
    drawn = [
        training_window(image.field, mask, geometry, SIZE, rng, outer=outer) for _ in range(200)
    ]
    full = full_window(image.field, SIZE, margin=geometry.margin)
    crops = [window for window in drawn if window != full]
    assert len(crops) > 150
    for crop in crops:
        assert 1.5 < crop.width / outer.side < 2.3
        assert np.hypot(crop.left + crop.width / 2 - 190, crop.top + crop.height / 2 - 100) < 25


@pytest.mark.parametrize("detail", ["tiles", "zoom"])
def test_image_without_the_target_gives_windows(detail: str) -> None:
    drawn = windows(detail, np.zeros((200, 300), bool), 10)
    assert len(set(drawn)) == (10 if detail == "tiles" else 1)


def test_only_the_main_target_is_sampled_without_a_prompt(make: Make) -> None:
    sampling = {"none": 1, "points": 0.2, "box": 0.2, "previous": 0.2}
    dataset = dataset_of(make(target="vessel", also=("disc",), train="base", prompts=sampling))
    drawn = [dataset.sample(number) for number in range(40)]  # the two targets alternate
    without_prompt = [sample.prompts.is_empty for sample in drawn]
    assert any(without_prompt[0::2])
    assert not any(without_prompt[1::2])


def test_tiles_are_centered_on_valid_pixels(photo: np.ndarray) -> None:
    field = find_field_of_view(photo)
    mask = np.zeros(photo.shape[:2], bool)
    mask[70:90, 20:140] = True
    valid = field.mask.copy()
    valid[:, :80] = False
    geometry = GeometrySettings(detail="tiles", field_size=300)
    rng = np.random.default_rng(0)
    for _ in range(20):
        window = training_window(field, mask, geometry, 64, rng, valid=valid)
        x, y = window.to_native(np.array([[31.5, 31.5]]))[0]
        assert valid[round(y), round(x)]
