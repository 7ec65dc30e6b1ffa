"""The split of images into training and validation."""

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets import read_dataset
from sam2lora.errors import DatasetError
from sam2lora.training.data_split import DataPlan, plan_data
from sam2lora.training.validation import read_validation_images
from sam2lora.transforms.zoom import BoundingBox

from .helpers import Make

Write = Callable[..., Path]

ALL = {"every": 100, "images": 100}


def training_stems(plan: DataPlan) -> set[str]:
    return {item.record.stem for group in plan.groups for item in group}


def validation_stems(plan: DataPlan) -> list[str]:
    return [item.record.stem for item in plan.validation]


def sides_of(plan: DataPlan) -> tuple[set[str], set[str]]:
    return training_stems(plan), set(validation_stems(plan))


def patients(stems: set[str] | list[str]) -> set[str]:
    return {stem.partition("_")[0] for stem in stems}


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_on_both_sides_and_none_is_lost(make: Make, seed: int) -> None:
    plan = plan_data(make(seed=seed, validation=ALL | {"share": 0.4}))
    assert not patients(training_stems(plan)) & patients(validation_stems(plan))
    assert len(training_stems(plan)) + len(validation_stems(plan)) == 8
    assert len(validation_stems(plan)) % 2 == 0  # both eyes


def test_each_side_of_the_split_has_at_least_one_patient(make: Make) -> None:
    plan = plan_data(make(validation=ALL | {"share": 0.001}))
    assert len(validation_stems(plan)) == 2
    plan = plan_data(make(validation=ALL | {"share": 0.999}))
    assert len(training_stems(plan)) == 2


def test_split_is_the_same_on_another_machine(
    make: Make, eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plan_data(make(validation=ALL))
    elsewhere = tmp_path / "another" / eyes.name
    for file in sorted(eyes.rglob("*.png"), reverse=True):  # other order and time on the disk
        copy = elsewhere / file.relative_to(eyes)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())

    def shuffled(root: Path, **options: Any) -> object:
        dataset = read_dataset(root, **options)
        records = list(dataset.records)
        random.Random(3).shuffle(records)
        return replace(dataset, records=tuple(records))

    monkeypatch.setattr("sam2lora.training.data_split.read_dataset", shuffled)
    there = plan_data(make(validation=ALL, data=[{"root": str(elsewhere)}]))
    assert validation_stems(there) == validation_stems(here)
    assert [[item.record.stem for item in group] for group in there.groups] == [
        [item.record.stem for item in group] for group in here.groups
    ]


def test_split_depends_on_the_seed(make: Make) -> None:
    assert len({tuple(validation_stems(plan_data(make(seed=seed)))) for seed in range(8)}) > 1


def test_validation_patient_is_not_trained_on_in_another_source(make: Make, eyes: Path) -> None:
    sources = [
        {"root": str(eyes)},
        {"root": str(eyes), "include": "p0[12]"},
        {"root": str(eyes / "images"), "exclude": "p02"},
    ]
    for seed in range(6):
        plan = plan_data(make(data=sources, validation=ALL, seed=seed))
        assert not patients(training_stems(plan)) & patients(validation_stems(plan))
        assert validation_stems(plan)
        assert len(set(validation_stems(plan))) == len(validation_stems(plan))


def write_table(path: Path, eyes: Path, patient: Callable[[str], str]) -> Path:
    """Write a CSV dataset of the images in `eyes`, with patients derived from the stem."""
    images = sorted((eyes / "images").iterdir())
    rows = [f"{image},{eyes}/masks/disc/{image.name},{patient(image.stem)}" for image in images]
    path.write_text("\n".join(["image,disc,patient", *rows]))
    return path


def test_same_files_in_two_sources_stay_on_one_side(make: Make, eyes: Path, tmp_path: Path) -> None:
    table = write_table(
        tmp_path / "again.csv", eyes, lambda stem: stem
    )  # the eyes count as two patients
    sources = [{"root": str(eyes)}, {"root": str(table)}]
    splits = 0
    for seed in range(8):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.1}, seed=seed))
        except DatasetError:
            continue
        splits += 1
        assert not patients(training_stems(plan)) & patients(validation_stems(plan))
        assert len(set(validation_stems(plan))) == len(validation_stems(plan))
    assert splits


def test_copies_of_images_are_recognized_by_content(make: Make, eyes: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    for file in sorted(eyes.rglob("p0*.png")):  # other stems, so other patients
        copy = copies / file.parent.relative_to(eyes) / f"x{file.name.replace('_', '')}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    sources = [{"root": str(eyes)}, {"root": str(copies)}]
    splits = 0
    for seed in range(8):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.1}, seed=seed))
        except DatasetError:
            continue
        splits += 1
        by_side = [{stem.removeprefix("x")[:3] for stem in side} for side in sides_of(plan)]
        assert not by_side[0] & by_side[1]
        hashes = {entry["path"]: entry["sha256"] for entry in plan.manifest()}
        for path, digest in hashes.items():
            assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest
    assert splits


def test_patients_that_share_an_image_stay_on_one_side(
    make: Make, eyes: Path, tmp_path: Path
) -> None:
    # In this table p00 and p01 are one patient, and so are p02 and p03.
    table = write_table(tmp_path / "pairs.csv", eyes, lambda stem: str(int(stem[2]) // 2))
    sources = [{"root": str(eyes)}, {"root": str(table)}]
    sides = []
    for seed in range(8):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.1}, seed=seed))
        except DatasetError:
            continue
        sides.append(
            (frozenset(patients(training_stems(plan))), frozenset(patients(validation_stems(plan))))
        )
    first, second = frozenset({"p00", "p01"}), frozenset({"p02", "p03"})
    assert set(sides) <= {(first, second), (second, first)}
    assert sides


def test_split_without_training_images_is_refused(make: Make, eyes: Path) -> None:
    table = eyes.parent / "crossed.csv"
    rows = [
        f"{eyes}/images/{name}.png,{eyes}/masks/disc/{name}.png,{name}"
        for name in ("p00_left", "p00_right", "p01_left", "p01_right")
    ]
    table.write_text("\n".join(["image,disc,patient", *rows]))
    sources = [{"root": str(eyes), "include": "p0[01]"}, {"root": str(table)}]
    results = set()
    for seed in range(12):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.5}, seed=seed))
            results.add(len(training_stems(plan)))
        except DatasetError as error:
            results.add(str(error).partition(" by one")[0])
    assert "All 4 images are used for validation" in results
    assert 0 not in results


def test_validation_images_of_repeated_sources_are_used_once(make: Make, eyes: Path) -> None:
    once = plan_data(make(validation=ALL | {"share": 0.6}))
    twice = plan_data(make(data=[{"root": str(eyes)}] * 2, validation=ALL | {"share": 0.6}))
    assert validation_stems(twice) == validation_stems(once)


def test_filters_select_by_name(make: Make, eyes: Path) -> None:
    source = {"root": str(eyes), "include": "p0[0-2]", "exclude": "_left"}
    plan = plan_data(make(target="vessel", data=[source], validation=ALL))
    assert training_stems(plan) | set(validation_stems(plan)) == {
        "p00_right",
        "p01_right",
        "p02_right",
    }


def test_filter_that_leaves_no_image_is_refused(make: Make, eyes: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of its 8 images.*'left1'"):
        plan_data(make(data=[{"root": str(eyes), "include": "left1"}]))


def test_single_patient_is_refused(make: Make, eyes: Path) -> None:
    with pytest.raises(DatasetError, match=r"1 patients? in 2 images"):
        plan_data(make(data=[{"root": str(eyes), "include": "p01"}]))


def test_missing_target_is_refused_with_the_available_ones(make: Make, eyes: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{eyes}.*no image has a mask of cup.*disc, vessel"):
        plan_data(make(target="cup"))


def test_missing_folder_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="missing"):
        plan_data(make(data=[{"root": str(tmp_path / "missing")}]))


def test_empty_training_masks_are_refused(
    make: Make, eyes: Path, write_eyes: Write, tmp_path: Path
) -> None:
    empty = write_eyes(tmp_path / "empty", first=10)
    for mask in (empty / "masks/disc").iterdir():
        Image.fromarray(np.zeros((128, 128), np.uint8)).save(mask)
    with pytest.raises(DatasetError, match=r"masks of disc are empty"):
        plan_data(make(data=[{"root": str(empty)}]))
    with_others = plan_data(make(data=[{"root": str(eyes)}, {"root": str(empty)}], validation=ALL))
    assert with_others.summary()["images"] == {"eyes disc": 6, "empty disc": 6}


def test_empty_validation_masks_are_refused(make: Make, write_eyes: Write, tmp_path: Path) -> None:
    settings = make(data=[{"root": str(write_eyes(tmp_path / "eyes"))}], validation=ALL)
    for stem in validation_stems(plan_data(settings)):
        mask = tmp_path / "eyes/masks/disc" / f"{stem}.png"
        Image.fromarray(np.zeros((128, 128), np.uint8)).save(mask)
    with pytest.raises(DatasetError, match=r"empty in all 2 validation images.*--seed"):
        plan_data(settings)


def test_official_split_is_used_if_there_is_one(make: Make, eyes: Path) -> None:
    table = eyes.parent / "table.csv"
    rows = [
        f"{image},{eyes}/masks/disc/{image.name},{'test' if 'p03' in image.name else 'train'}"
        for image in sorted((eyes / "images").iterdir())
    ]
    table.write_text("\n".join(["image,disc,split", *rows]))
    for split, expected in (
        ("train", {"p00", "p01", "p02"}),
        ("all", {f"p0{n}" for n in range(4)}),
    ):
        plan = plan_data(make(data=[{"root": str(table), "split": split}], validation=ALL))
        assert patients(training_stems(plan)) | patients(validation_stems(plan)) == expected


def test_limit_on_validation_images_keeps_every_source(
    make: Make, eyes: Path, write_eyes: Write, tmp_path: Path
) -> None:
    more = write_eyes(tmp_path / "more", patients=2, first=20)
    sources = [{"root": str(eyes)}, {"root": str(more)}]
    plan = plan_data(make(data=sources, validation={"images": 2}))
    assert [item.record.dataset for item in plan.validation] == ["eyes", "more"]
    assert plan.summary()["images"] == {"eyes disc": 6, "more disc": 2}
    assert plan.samples_per_epoch == 8


def test_further_targets_are_trained_but_not_validated(make: Make) -> None:
    plan = plan_data(make(also=["vessel"], train="base", validation=ALL))
    assert [{item.target for item in group} for group in plan.groups] == [{"disc"}, {"vessel"}]
    assert {item.target for item in plan.validation} == {"disc"}


def test_manifest_lists_every_file_with_its_hash(make: Make, eyes: Path) -> None:
    manifest = plan_data(make(validation=ALL)).manifest()
    files = [*(eyes / "images").iterdir(), *(eyes / "masks/disc").iterdir()]
    assert [entry["path"] for entry in manifest] == sorted(map(str, files))
    first = Path(manifest[0]["path"]).read_bytes()
    assert manifest[0]["sha256"] == hashlib.sha256(first).hexdigest()


def test_source_given_twice_is_sampled_twice_but_counted_once(make: Make, eyes: Path) -> None:
    once, twice = (plan_data(make(data=[{"root": str(eyes)}] * times)) for times in (1, 2))
    assert len(twice.groups) == 2 * len(once.groups)
    assert twice.summary() == once.summary()
    assert twice.manifest() == once.manifest()


def test_single_patient_can_be_validated_within_images(make: Make, eyes: Path) -> None:
    within = {"within_images": True, "share": 0.25, "images": 2}
    plan = plan_data(make(data=[{"root": str(eyes), "include": "p01"}], validation=within))
    training, validation = plan.groups[0][0], plan.validation[0]
    assert training.record == validation.record
    field = training.record.read_field_of_view()
    mask = training.record.read_mask("disc")
    parts = [item.valid(field, mask) for item in (training, validation)]
    assert not (parts[0] & parts[1]).any()
    assert np.array_equal(parts[0] | parts[1], field.mask)
    share = (mask & parts[1]).sum() / (mask & field.mask).sum()
    assert share == pytest.approx(0.25, abs=0.1)
    assert plan.summary() == {"images": {"eyes disc": 2}, "validation": 2}


def test_ignored_pixels_are_excluded_from_training_and_validation(
    make: Make, write_eyes: Write, tmp_path: Path
) -> None:
    root = write_eyes(tmp_path / "eyes")
    (root / "ignore").mkdir()
    left = np.zeros((128, 128), np.uint8)
    left[:, :64] = 255
    for image in (root / "images").iterdir():
        Image.fromarray(left).save(root / "ignore" / image.name)
    plan = plan_data(make(data=[{"root": str(root)}]))
    for item in (*plan.groups[0], *plan.validation):
        field, mask = item.record.read_field_of_view(), item.record.read_mask("disc")
        assert np.array_equal(item.valid(field, mask), field.mask & (left == 0))
    assert str(root / "ignore" / "p00_left.png") in {file["path"] for file in plan.manifest()}


def test_masks_without_a_target_name_show_the_only_target(
    make: Make, eyes: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(eyes / "images", plain / "images")
    shutil.copytree(eyes / "masks" / "disc", plain / "masks")
    plan = plan_data(make(data=[{"root": str(plain)}], validation=ALL))
    assert training_stems(plan) == training_stems(plan_data(make(validation=ALL)))


def test_labels_of_a_source_are_used(make: Make, eyes: Path) -> None:
    plan = plan_data(make(data=[{"root": str(eyes), "labels": {"disc": [1, 2]}}], validation=ALL))
    (file,) = plan.validation[0].record.masks["disc"]
    assert file.labels == (1, 2)


def test_masks_of_the_outer_target_come_along(make: Make, tmp_path: Path, photo) -> None:
    disc = np.zeros(photo.shape[:2], bool)
    disc[60:90, 60:90] = True
    cup = disc & (np.arange(disc.shape[1]) < 75)
    for number, stem in enumerate(("a_L", "b_L", "c_L")):
        for name, pixels in {
            f"images/{stem}.png": np.roll(photo, number, axis=0),  # copies are one patient's
            f"masks/disc/{stem}.png": disc.astype(np.uint8) * 255,
            f"masks/cup/{stem}.png": cup.astype(np.uint8) * 255,
        }.items():
            path = tmp_path / "own" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    data = [{"root": str(tmp_path / "own")}]
    plan = plan_data(make(target="cup", data=data, validation=ALL))
    items = [item for group in plan.groups for item in group] + list(plan.validation)
    assert len(items) == 3  # none for the disc, which is not trained
    assert all(item.record.masks.keys() == {"cup", "disc"} for item in items)
    assert sum("disc" in file["path"] for file in plan.manifest()) == 3
    (image, *_) = read_validation_images(plan.validation)
    assert image.outer == BoundingBox(60, 60, 89, 89)


def test_images_are_counted_by_the_dataset_they_are_of(make: Make, eyes: Path) -> None:
    stems = [record.stem for record in read_dataset(eyes).records]
    rows = [f"{eyes.name},{stem},vessel,80,60,20,20,0,A" for stem in stems]
    table = eyes.parent / "ellipses.csv"
    table.write_text("\n".join(["dataset,image,structure,cx,cy,rx,ry,angle,grade", *rows]))
    source = {"root": str(table), "grades": ("A",)}
    plan = plan_data(make(target="vessel", data=[source], validation=ALL))
    assert set(plan.summary()["images"]) == {f"{eyes.name} vessel"}
