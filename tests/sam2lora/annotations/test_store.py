"""Corrections are saved, found again, and form a dataset."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.annotations.store import Corrections, corrections_folder
from sam2lora.datasets import read_dataset
from sam2lora.errors import DatasetError, ImageError, OutputError
from sam2lora.targets import Target, save_target

SHAPE = (12, 10)
MASK = np.zeros(SHAPE, bool)
MASK[2:5, 1:4] = True


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Create a folder of two images."""
    folder = tmp_path / "my eyes"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(folder / f"{name}.png")
    return folder


def test_corrections_are_found_when_the_folder_is_opened_again(images: Path):
    Corrections(images).save("a", images / "a.png", {"vessel": MASK, "disc": ~MASK})
    again = Corrections(images).masks("a", SHAPE)
    assert set(again) == {"vessel", "disc"}
    np.testing.assert_array_equal(again["vessel"], MASK)
    np.testing.assert_array_equal(again["disc"], ~MASK)
    assert Corrections(images).corrected("a")
    assert not Corrections(images).corrected("b")
    assert Corrections(images).masks("b", SHAPE) == {}


def test_nothing_is_written_next_to_the_images(images: Path):
    before = sorted(images.rglob("*"))
    Corrections(images).save("a", images / "a.png", {"vessel": MASK})
    Corrections(images).set_done("a", True)
    assert sorted(images.rglob("*")) == before
    assert Corrections(images).folder.parent == corrections_folder()
    assert Corrections(images).folder.name.startswith("my-eyes-")


def test_folders_of_the_same_name_do_not_share_corrections(images: Path, tmp_path: Path):
    other = tmp_path / "other" / "my eyes"
    other.mkdir(parents=True)
    Corrections(images).save("a", images / "a.png", {"vessel": MASK})
    assert not Corrections(other).corrected("a")


def test_saving_one_target_keeps_the_others(images: Path):
    kept = Corrections(images)
    kept.save("a", images / "a.png", {"disc": MASK})
    kept.save("a", images / "a.png", {"cup": ~MASK})
    kept.save("a", images / "a.png", {"cup": MASK})
    assert set(kept.masks("a", SHAPE)) == {"disc", "cup"}
    np.testing.assert_array_equal(kept.masks("a", SHAPE)["cup"], MASK)


def test_corrections_are_a_dataset_to_train_on(images: Path):
    kept = Corrections(images)
    kept.save("b", images / "b.png", {"vessel": MASK})
    kept.save("a", images / "a.png", {"disc": ~MASK})
    dataset = read_dataset(kept.folder)
    assert [record.image for record in dataset.records] == [images / "a.png", images / "b.png"]
    np.testing.assert_array_equal(dataset.records[0].read_mask("disc"), ~MASK)
    assert list(dataset.records[1].masks) == ["vessel"]


def test_mask_of_a_users_own_target_is_saved(images: Path):
    save_target(Target(name="drusen", label=9, color="#102030"))
    Corrections(images).save("a", images / "a.png", {"drusen": MASK})
    assert set(Corrections(images).masks("a", SHAPE)) == {"drusen"}


def test_image_is_marked_as_done_and_unmarked(images: Path):
    Corrections(images).set_done("b", True)
    Corrections(images).set_done("a", True)
    Corrections(images).set_done("a", True)
    assert Corrections(images).done() == {"a", "b"}
    Corrections(images).set_done("a", False)
    assert Corrections(images).done() == {"b"}


def test_forgetting_without_corrections_does_nothing(images: Path):
    Corrections(images).forget("a")
    assert not Corrections(images).folder.exists()


def test_forgotten_image_has_no_masks_and_is_not_done(images: Path):
    kept = Corrections(images)
    for stem in ("a", "b"):
        kept.save(stem, images / f"{stem}.png", {"vessel": MASK})
        kept.set_done(stem, True)
    kept.forget("a")
    assert not kept.corrected("a")
    assert kept.done() == {"b"}
    assert [record.stem for record in read_dataset(kept.folder).records] == ["b"]


def test_mask_of_another_size_is_named(images: Path):
    Corrections(images).save("a", images / "a.png", {"vessel": MASK})
    with pytest.raises(ImageError, match=r"a_vessel\.png: the mask is 10 × 12"):
        Corrections(images).masks("a", (5, 5))


def test_damaged_list_is_reported_and_the_masks_stay(images: Path):
    kept = Corrections(images)
    kept.save("a", images / "a.png", {"vessel": MASK})
    (kept.folder / "corrections.json").write_text("{")
    with pytest.raises(DatasetError, match=r"corrections\.json: cannot be read.*Delete it"):
        kept.done()
    assert set(kept.masks("a", SHAPE)) == {"vessel"}


def test_unwritable_folder_is_reported(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SAM2LORA_CORRECTIONS", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"file.*cannot be written"):
        Corrections(images).save("a", images / "a.png", {"vessel": MASK})


def test_position_is_kept_once_something_is_stored(images: Path):
    kept = Corrections(images)
    kept.set_position("b")
    assert kept.position() is None
    assert not kept.folder.exists()
    kept.set_done("a", True)
    kept.set_position("b")
    assert Corrections(images).position() == "b"


def test_masks_that_are_as_predicted_are_known_until_they_are_corrected(images: Path):
    kept = Corrections(images)
    kept.set_as_predicted("a", {"disc": True, "cup": False})
    again = Corrections(images)
    assert again.as_predicted("a", "disc")
    assert not again.as_predicted("a", "cup")
    assert not again.as_predicted("b", "disc")
    again.set_as_predicted("a", {"disc": False})
    assert not kept.as_predicted("a", "disc")


def test_corrections_can_lie_in_a_folder_of_their_own(images: Path, tmp_path: Path):
    kept = Corrections(images, folder=tmp_path / "anna")
    kept.save("a", images / "a.png", {"vessel": MASK})
    assert (tmp_path / "anna" / "masks" / "a_vessel.png").is_file()
    assert not Corrections(images).corrected("a")


def test_moved_images_are_noted_in_the_table(images: Path, tmp_path: Path):
    kept = Corrections(images)
    kept.save("a", images / "a.png", {"vessel": MASK})
    moved = tmp_path / "moved.png"
    (images / "a.png").rename(moved)
    kept.relink({"a": moved, "b": images / "b.png"})
    assert [record.image for record in read_dataset(kept.folder).records] == [moved]
    before = (kept.folder / "dataset.csv").stat().st_mtime_ns
    kept.relink({"a": moved})
    assert (kept.folder / "dataset.csv").stat().st_mtime_ns == before
