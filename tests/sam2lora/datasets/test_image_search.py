"""Finding the image files given by files, folders, datasets and patterns."""

import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets.image_search import directory_entry, find_images
from sam2lora.errors import DatasetError, ImageError


def touch(folder: Path, *names: str) -> list[Path]:
    """Create empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return [folder / name for name in names]


def test_files_keep_their_order(tmp_path: Path) -> None:
    b, a = touch(tmp_path, "b.png", "a.tif")
    assert find_images([b, str(a)]) == [b, a]


def test_folder_gives_the_images_directly_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", ".hidden.png", "._a.tif", "deeper/c.png")
    b, a, packed = touch(tmp_path, "B.PNG", "a.tif", "d.ppm.gz")
    assert find_images([tmp_path]) == sorted([a, b, packed])


def test_dataset_gives_its_images_without_masks(tmp_path: Path) -> None:
    first, second, unmatched = touch(tmp_path, "Image_01L.jpg", "Image_02R.jpg", "mine.jpg")
    touch(tmp_path, "Image_01L_1stHO.png", "Image_01L_2ndHO.png", "Image_02R_1stHO.png")
    assert find_images([tmp_path]) == [first, second, unmatched]


def test_real_datasets_give_their_images(real_data: Path) -> None:
    assert len(find_images([real_data / "DRIVE"])) == 40
    assert len(find_images([real_data / "DRIVE" / "test"])) == 20
    chase = find_images([real_data / "CHASEDB1"])
    assert [path.suffix for path in chase] == [".jpg"] * 28


def test_patterns_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "in/notes.txt", "in/.a.png", "in/folder.png/x.tif")
    a, b, deep = touch(tmp_path, "in/a.png", "in/b.png", "in/deeper/c.png")
    assert find_images([f"{tmp_path}/in/*"]) == [a, b]
    assert find_images([tmp_path / "in" / "**" / "[ac].png"]) == [a, deep]
    monkeypatch.chdir(tmp_path)
    assert find_images(["in/?.png"]) == [Path("in/a.png"), Path("in/b.png")]
    monkeypatch.chdir(tmp_path / "in" / "deeper")
    assert find_images(["../?.png"]) == [Path("../a.png"), Path("../b.png")]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_images(["~/in/?.png"]) == [a, b]


def test_existing_file_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    named, _ = touch(tmp_path, "a[1].png", "a1.png")
    assert find_images([named]) == [named]


def test_duplicate_files_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "in/b.png")
    monkeypatch.chdir(tmp_path)
    inputs = ["a.png", tmp_path, "./a.png", "in/../a.png", "*.png"]
    assert find_images(inputs) == [Path("a.png")]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_keep_their_names(tmp_path: Path) -> None:
    (raw,) = touch(tmp_path, "raw/1.png")
    links = [tmp_path / "case1.png", tmp_path / "case2.png"]
    for link in links:
        link.symlink_to(raw)
    assert find_images([tmp_path]) == links
    assert directory_entry(links[0]) != directory_entry(links[1])
    (tmp_path / "same").symlink_to(raw.parent)
    assert directory_entry(tmp_path / "same" / "1.png") == directory_entry(raw)


@pytest.mark.parametrize(
    "names", [("a.png", "a.jpg"), ("one/a.png", "two/a.png"), ("a.ppm", "a.ppm.gz")]
)
def test_two_images_with_one_output_name_are_refused(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    images = touch(tmp_path, *names)
    with pytest.raises(ImageError, match=r"both be written as a_<target>\.png") as caught:
        find_images(images)
    assert all(str(image) in str(caught.value) for image in images)


@pytest.mark.parametrize("given", ["empty", "empty/*.png", "only_text", "only_text/*"])
def test_error_for_an_input_without_images_gives_the_remedy(tmp_path: Path, given: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "only_text/notes.txt")
    (other,) = touch(tmp_path, "a.png")
    with pytest.raises(ImageError, match=r"there is no image here\. Give image files") as caught:
        find_images([other, tmp_path / given])
    assert str(tmp_path / given) in str(caught.value)


def test_missing_file_is_listed_for_the_reader_to_report(tmp_path: Path) -> None:
    assert find_images([tmp_path / "missing.png"]) == [tmp_path / "missing.png"]


def test_error_of_the_system_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be opened"):
        find_images([tmp_path / ("a" * 5000)])


def test_images_of_a_dataset_without_a_mask_are_listed(tmp_path: Path) -> None:
    pixels = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    for name in ("images/a.png", "images/b.png", "masks/disc/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels.save(tmp_path / name)
    assert find_images([tmp_path]) == [tmp_path / "images/a.png", tmp_path / "images/b.png"]


def test_folder_whose_masks_have_no_target_name_gives_its_images(tmp_path: Path) -> None:
    image, _ = touch(tmp_path, "images/a.png", "masks/a.png")
    assert find_images([tmp_path]) == [image]
    assert find_images([tmp_path / "images"]) == [image]


def test_images_next_to_a_dataset_take_precedence(tmp_path: Path) -> None:
    image, inside, _ = touch(tmp_path, "x.png", "old/images/q.png", "old/masks/disc/q.png")
    assert find_images([tmp_path]) == [image]
    image.unlink()
    assert find_images([tmp_path]) == [inside]


def test_several_datasets_in_a_folder_are_refused(tmp_path: Path) -> None:
    for name in ("old", "new"):
        touch(tmp_path, f"{name}/images/q.png", f"{name}/masks/disc/q.png")
    with pytest.raises(DatasetError, match="several datasets: new"):
        find_images([tmp_path])
    (image,) = touch(tmp_path, "x.png")
    assert find_images([tmp_path]) == [image]


def test_double_star_within_a_name_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    if sys.version_info < (3, 13):  # later versions treat it as a single star
        with pytest.raises(ImageError, match="stands alone between two slashes"):
            find_images([tmp_path / "**.jpg"])


def test_existing_folder_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    image, other, _ = touch(tmp_path, "p[1]/a.png", "p[1]/b[2].png", "p1/c.png")
    assert find_images([tmp_path / "p[1]" / "*.png"]) == [image, other]
    assert find_images([tmp_path / "*" / "b[2].*"]) == [other]
    assert find_images([tmp_path / "p[12]" / "c*"]) == [tmp_path / "p1" / "c.png"]


def test_images_are_sorted_as_people_count(tmp_path: Path) -> None:
    paths = touch(tmp_path, "2.png", "11.png", "111.png", "x2/a.png", "x10/a.png")
    assert find_images([tmp_path]) == paths[:3]
    assert find_images([tmp_path / "[0-9]*.png"]) == paths[:3]
    moved = [paths[3].rename(tmp_path / "x2" / "b.png"), paths[4]]
    assert find_images([tmp_path / "x*" / "*.png"]) == moved


def test_given_names_match_in_both_unicode_forms(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    (image,) = touch(tmp_path, composed)
    assert find_images([tmp_path / decomposed])[0].samefile(image)
    (other,) = touch(tmp_path, decomposed)
    if not other.samefile(image):
        with pytest.raises(ImageError, match="would both be written"):
            find_images([image, other])
