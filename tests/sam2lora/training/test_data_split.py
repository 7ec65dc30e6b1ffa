"""Which images a training learns from and which judge it."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets import read_dataset
from sam2lora.errors import DatasetError
from sam2lora.training.data_split import DataPlan, plan_data
from sam2lora.training.settings import TrainSettings

Make = Callable[..., TrainSettings]
Write = Callable[..., Path]

ALL = {"every": 100, "images": 100}


def learned(plan: DataPlan) -> set[str]:
    return {item.record.stem for group in plan.groups for item in group}


def held_out(plan: DataPlan) -> list[str]:
    return [item.record.stem for item in plan.validation]


def sides_of(plan: DataPlan) -> tuple[set[str], set[str]]:
    return learned(plan), set(held_out(plan))


def patients(stems: set[str] | list[str]) -> set[str]:
    return {stem.partition("_")[0] for stem in stems}


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_on_both_sides_and_nobody_is_lost(make: Make, seed: int) -> None:
    plan = plan_data(make(seed=seed, validation=ALL | {"share": 0.4}))
    assert not patients(learned(plan)) & patients(held_out(plan))
    assert len(learned(plan)) + len(held_out(plan)) == 8
    assert len(held_out(plan)) % 2 == 0  # both eyes


def test_never_fewer_than_one_whole_patient(make: Make) -> None:
    plan = plan_data(make(validation=ALL | {"share": 0.001}))
    assert len(held_out(plan)) == 2
    plan = plan_data(make(validation=ALL | {"share": 0.999}))
    assert len(learned(plan)) == 2


def test_another_machine_splits_the_same_way(
    make: Make, eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plan_data(make(validation=ALL))
    elsewhere = tmp_path / "another" / eyes.name
    for file in sorted(eyes.rglob("*.png"), reverse=True):  # other times, other places on the disk
        copy = elsewhere / file.relative_to(eyes)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())

    def shuffled(root: Path, *, layout: str | None = None) -> object:
        dataset = read_dataset(root, layout=layout)
        records = list(dataset.records)
        random.Random(3).shuffle(records)
        return replace(dataset, records=tuple(records))

    monkeypatch.setattr("sam2lora.training.data_split.read_dataset", shuffled)
    there = plan_data(make(validation=ALL, data=[{"root": str(elsewhere)}]))
    assert held_out(there) == held_out(here)
    assert [[one.record.stem for one in group] for group in there.groups] == [
        [one.record.stem for one in group] for group in here.groups
    ]


def test_a_seed_draws_another_split(make: Make) -> None:
    assert len({tuple(held_out(plan_data(make(seed=seed)))) for seed in range(8)}) > 1


def test_a_patient_held_out_in_one_source_is_not_learned_from_another(
    make: Make, eyes: Path
) -> None:
    sources = [
        {"root": str(eyes)},
        {"root": str(eyes), "include": "p0[12]"},
        {"root": str(eyes / "images"), "exclude": "p02"},
    ]
    for seed in range(6):
        plan = plan_data(make(data=sources, validation=ALL, seed=seed))
        assert not patients(learned(plan)) & patients(held_out(plan))
        assert held_out(plan)
        assert len(set(held_out(plan))) == len(held_out(plan))


def write_table(path: Path, eyes: Path, patient: Callable[[str], str]) -> Path:
    """Name the images of `eyes` again, with patients by the image's stem."""
    images = sorted((eyes / "images").iterdir())
    rows = [f"{one},{eyes}/masks/disc/{one.name},{patient(one.stem)}" for one in images]
    path.write_text("\n".join(["image,disc,patient", *rows]))
    return path


def test_the_same_images_under_another_name_are_known_by_their_files(
    make: Make, eyes: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "again.csv", eyes, lambda stem: stem)  # both eyes apart
    sources = [{"root": str(eyes)}, {"root": str(table)}]
    split = 0
    for seed in range(8):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.1}, seed=seed))
        except DatasetError:
            continue
        split += 1
        assert not patients(learned(plan)) & patients(held_out(plan))
        assert len(set(held_out(plan))) == len(held_out(plan))
    assert split


def test_copies_of_images_are_known_by_their_content(
    make: Make, eyes: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    for file in sorted(eyes.rglob("p0*.png")):  # other stems, so other patients
        copy = copies / file.parent.relative_to(eyes) / f"x{file.name.replace('_', '')}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    sources = [{"root": str(eyes)}, {"root": str(copies)}]
    split = 0
    for seed in range(8):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.1}, seed=seed))
        except DatasetError:
            continue
        split += 1
        people = [{stem.removeprefix("x")[:3] for stem in side} for side in sides_of(plan)]
        assert not people[0] & people[1]
        hashes = {entry["path"]: entry["sha256"] for entry in plan.manifest()}
        for path, digest in hashes.items():
            assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest
    assert split


def test_patients_that_share_an_image_are_held_out_to_the_last(
    make: Make, eyes: Path, tmp_path: Path
) -> None:
    # p00 and p01 are one person by this table, and so are p02 and p03.
    table = write_table(tmp_path / "pairs.csv", eyes, lambda stem: str(int(stem[2]) // 2))
    sources = [{"root": str(eyes)}, {"root": str(table)}]
    sides = []
    for seed in range(8):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.1}, seed=seed))
        except DatasetError:
            continue
        sides.append((frozenset(patients(learned(plan))), frozenset(patients(held_out(plan)))))
    one, other = frozenset({"p00", "p01"}), frozenset({"p02", "p03"})
    assert set(sides) <= {(one, other), (other, one)}
    assert sides


def test_nothing_left_to_learn_from_is_said(make: Make, eyes: Path) -> None:
    table = eyes.parent / "crossed.csv"
    rows = [
        f"{eyes}/images/{name}.png,{eyes}/masks/disc/{name}.png,{name}"
        for name in ("p00_left", "p00_right", "p01_left", "p01_right")
    ]
    table.write_text("\n".join(["image,disc,patient", *rows]))
    sources = [{"root": str(eyes), "include": "p0[01]"}, {"root": str(table)}]
    outcomes = set()
    for seed in range(12):
        try:
            plan = plan_data(make(data=sources, validation=ALL | {"share": 0.5}, seed=seed))
            outcomes.add(len(learned(plan)))
        except DatasetError as error:
            outcomes.add(str(error).partition(" by one")[0])
    assert "All 4 images are held out" in outcomes
    assert 0 not in outcomes


def test_images_that_judge_come_in_turn_and_once(make: Make, eyes: Path) -> None:
    once = plan_data(make(validation=ALL | {"share": 0.6}))
    twice = plan_data(make(data=[{"root": str(eyes)}] * 2, validation=ALL | {"share": 0.6}))
    assert held_out(twice) == held_out(once)


def test_filters_choose_by_name(make: Make, eyes: Path) -> None:
    source = {"root": str(eyes), "include": "p0[0-2]", "exclude": "_left"}
    plan = plan_data(make(data=[source], validation=ALL))
    assert learned(plan) | set(held_out(plan)) == {"p00_right", "p01_right", "p02_right"}


def test_a_filter_that_leaves_nothing_says_so(make: Make, eyes: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of its 8 images.*'left1'"):
        plan_data(make(data=[{"root": str(eyes), "include": "left1"}]))


def test_one_patient_is_too_few(make: Make, eyes: Path) -> None:
    with pytest.raises(DatasetError, match=r"1 patients? in 2 images"):
        plan_data(make(data=[{"root": str(eyes), "include": "p01"}]))


def test_a_missing_target_is_answered_with_those_there_are(make: Make, eyes: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{eyes}.*no masks of cup.*disc, vessel"):
        plan_data(make(target="cup"))


def test_a_folder_that_is_not_there_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="missing"):
        plan_data(make(data=[{"root": str(tmp_path / "missing")}]))


def test_masks_that_are_all_empty_are_named(
    make: Make, eyes: Path, write_eyes: Write, tmp_path: Path
) -> None:
    empty = write_eyes(tmp_path / "empty", first=10)
    for mask in (empty / "masks/disc").iterdir():
        Image.fromarray(np.zeros((128, 128), np.uint8)).save(mask)
    with pytest.raises(DatasetError, match=r"masks of disc are empty"):
        plan_data(make(data=[{"root": str(empty)}]))
    with_others = plan_data(make(data=[{"root": str(eyes)}, {"root": str(empty)}], validation=ALL))
    assert with_others.summary()["images"] == {"eyes disc": 6, "empty disc": 6}


def test_held_out_masks_that_are_all_empty_are_named(
    make: Make, write_eyes: Write, tmp_path: Path
) -> None:
    settings = make(data=[{"root": str(write_eyes(tmp_path / "eyes"))}], validation=ALL)
    for stem in held_out(plan_data(settings)):
        mask = tmp_path / "eyes/masks/disc" / f"{stem}.png"
        Image.fromarray(np.zeros((128, 128), np.uint8)).save(mask)
    with pytest.raises(DatasetError, match=r"empty in all 2 held-out images.*--seed"):
        plan_data(settings)


def test_the_official_side_is_taken_where_there_is_one(make: Make, eyes: Path) -> None:
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
        assert patients(learned(plan)) | patients(held_out(plan)) == expected


def test_a_limit_on_held_out_images_leaves_no_source_out(
    make: Make, eyes: Path, write_eyes: Write, tmp_path: Path
) -> None:
    more = write_eyes(tmp_path / "more", patients=2, first=20)
    sources = [{"root": str(eyes)}, {"root": str(more)}]
    plan = plan_data(make(data=sources, validation={"images": 2}))
    assert [item.record.dataset for item in plan.validation] == ["eyes", "more"]
    assert plan.summary()["images"] == {"eyes disc": 6, "more disc": 2}
    assert plan.samples_per_epoch == 8


def test_further_targets_are_learned_but_do_not_judge(make: Make) -> None:
    plan = plan_data(make(also=["vessel"], train="base", validation=ALL))
    assert [{item.target for item in group} for group in plan.groups] == [{"disc"}, {"vessel"}]
    assert {item.target for item in plan.validation} == {"disc"}


def test_the_manifest_names_every_file_with_its_hash(make: Make, eyes: Path) -> None:
    manifest = plan_data(make(validation=ALL)).manifest()
    files = [*(eyes / "images").iterdir(), *(eyes / "masks/disc").iterdir()]
    assert [entry["path"] for entry in manifest] == sorted(map(str, files))
    first = Path(manifest[0]["path"]).read_bytes()
    assert manifest[0]["sha256"] == hashlib.sha256(first).hexdigest()


def test_a_source_given_twice_takes_two_turns_and_has_no_more_images(
    make: Make, eyes: Path
) -> None:
    once, twice = (plan_data(make(data=[{"root": str(eyes)}] * times)) for times in (1, 2))
    assert len(twice.groups) == 2 * len(once.groups)
    assert twice.summary() == once.summary()
    assert twice.manifest() == once.manifest()


def test_one_patient_can_be_judged_by_a_part_of_each_image(make: Make, eyes: Path) -> None:
    within = {"within_images": True, "share": 0.25, "images": 2}
    plan = plan_data(make(data=[{"root": str(eyes), "include": "p01"}], validation=within))
    learned, judging = plan.groups[0][0], plan.validation[0]
    assert learned.record == judging.record
    field = learned.record.read_field_of_view()
    mask = learned.record.read_mask("disc")
    parts = [item.valid(field, mask) for item in (learned, judging)]
    assert not (parts[0] & parts[1]).any()
    assert np.array_equal(parts[0] | parts[1], field.mask)
    share = (mask & parts[1]).sum() / (mask & field.mask).sum()
    assert share == pytest.approx(0.25, abs=0.1)
    assert plan.summary() == {"images": {"eyes disc": 2}, "validation": 2}


def test_what_is_ignored_counts_nowhere(make: Make, write_eyes: Write, tmp_path: Path) -> None:
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
