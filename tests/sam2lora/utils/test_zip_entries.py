"""Entries of archives that are not trusted."""

import stat
import zipfile
from pathlib import Path

import pytest

from sam2lora.errors import DatasetError, OutputError
from sam2lora.utils.zip_entries import check_entry, new_entry, unpacking


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\b", "C:/a", "a//b", "./a"])
def test_entry_outside_its_folder_is_refused(name: str) -> None:
    entry = new_entry("a")
    entry.filename = name
    with pytest.raises(DatasetError, match=r"x\.zip: holds .* outside its folder"):
        check_entry(entry, Path("x.zip"), largest=10, error=DatasetError)


def test_links_encrypted_and_large_entries_are_refused() -> None:
    link, secret, large = (new_entry("a") for _ in range(3))
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    secret.flag_bits = 1
    large.file_size = 11
    for entry, reason in ((link, "a link"), (secret, "encrypted"), (large, "the limit is 10")):
        with pytest.raises(DatasetError, match=reason):
            check_entry(entry, Path("x.zip"), largest=10, error=DatasetError)
    check_entry(new_entry("a/b"), Path("x.zip"), largest=10, error=DatasetError)


def test_what_is_no_archive_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with (
        pytest.raises(DatasetError, match=r"a\.zip: is corrupt or not a zip"),
        unpacking(tmp_path / "a.zip", error=DatasetError),
    ):
        pass
    with (
        pytest.raises(OutputError, match=r"b\.zip: cannot be unpacked"),
        unpacking(tmp_path / "b.zip", error=DatasetError),
    ):
        pass
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(new_entry("a"), "text")
    with unpacking(tmp_path / "c.zip", error=DatasetError) as read:
        assert read.read("a") == b"text"
