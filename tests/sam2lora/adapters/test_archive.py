import os
import stat
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sam2lora.adapters import archive
from sam2lora.adapters.archive import export_adapter, import_adapter
from sam2lora.adapters.folder import FILES, Adapter
from sam2lora.adapters.store import adapters_folder, find_adapter, install_adapter, list_adapters
from sam2lora.errors import AdapterError, OutputError
from sam2lora.runs import RunFolder, set_best
from sam2lora.utils.leftovers import temporary_name


@pytest.fixture
def made(make_adapter) -> Adapter:
    return make_adapter()


@pytest.fixture
def packed(made: Adapter, tmp_path: Path) -> Path:
    return export_adapter(made, tmp_path)


def repacked(packed: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    """Return a copy of a zip file with changes."""
    path = packed.with_name("changed.zip")
    path.write_bytes(packed.read_bytes())
    with zipfile.ZipFile(path, "a") as changed, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names, which are meant
        change(changed)
    return path


def visible() -> list[str]:
    root = adapters_folder()
    return sorted(p.name for p in root.iterdir() if p.name != ".lock") if root.exists() else []


def test_exported_adapter_is_imported_unchanged(made: Adapter, packed: Path):
    assert packed.name == "vessel-test.zip"
    with zipfile.ZipFile(packed) as content:
        assert sorted(content.namelist()) == sorted(f"vessel-test/{file}" for file in FILES)
    installed = import_adapter(packed)
    assert installed.card == made.card
    assert installed.digest() == made.digest()
    assert installed.folder.parent == adapters_folder()


def test_files_of_a_far_future_are_packed(made: Adapter, tmp_path: Path):
    for file in FILES:
        os.utime(made.folder / file, (2**33, 2**33))  # in 2242; a zip file's dates end in 2107
    assert import_adapter(export_adapter(made, tmp_path / "future.zip")).digest() == made.digest()


def test_unpacked_files_of_a_killed_process_are_deleted(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = place / temporary_name().replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    (dead / "inside").mkdir(parents=True)
    import_adapter(packed)
    assert list(place.iterdir()) == []


def test_adapter_folders_and_run_folders_are_imported(make_adapter, tmp_path: Path):
    made = make_adapter()
    installed = import_adapter(made.folder, name="mine")
    assert installed.folder == adapters_folder() / "mine"
    assert installed.digest() == made.digest()
    run = RunFolder.create(tmp_path / "run", "{}")
    best = make_adapter("from-run", folder=run.adapter(40), seed=2)
    set_best(run.path, 40, 0.7)
    assert import_adapter(run.path).digest() == best.digest()
    with pytest.raises(AdapterError, match="'from-run' already exists"):
        import_adapter(run.path)
    assert visible() == ["from-run", "mine"]
    with pytest.raises(AdapterError, match="is missing"):
        import_adapter(tmp_path)
    with pytest.raises(AdapterError, match="no such file or folder"):
        import_adapter(tmp_path / "nothing")
    assert visible() == ["from-run", "mine"]


def test_archive_holds_the_installed_name(made: Adapter, tmp_path: Path):
    path = export_adapter(install_adapter(made, name="mine"), tmp_path / "any.zip")
    assert import_adapter(path, name="theirs").name == "theirs"
    with zipfile.ZipFile(path) as content:
        assert b'"name": "mine"' in content.read("mine/sam2lora.json")
        assert len(content.namelist()) == 4


def test_existing_archive_is_replaced_only_on_request(made: Adapter, packed: Path):
    with pytest.raises(OutputError, match=r"vessel-test\.zip: already exists"):
        export_adapter(made, packed)
    packed.write_bytes(b"old")
    export_adapter(made, packed, replace=True)
    assert zipfile.is_zipfile(packed)


def test_damaged_adapter_is_not_exported(made: Adapter, tmp_path: Path):
    made.weights.write_bytes(b"")
    with pytest.raises(AdapterError, match="truncated"):
        export_adapter(made, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_taken_name_is_refused_unless_replaced(packed: Path):
    import_adapter(packed)
    with pytest.raises(AdapterError, match="'vessel-test' already exists"):
        import_adapter(packed)
    assert import_adapter(packed, name="second").name == "second"
    assert import_adapter(packed, replace=True).name == "vessel-test"
    assert visible() == ["second", "vessel-test"]


@pytest.mark.parametrize("inside", ["", "folder/"])
def test_files_may_lie_in_one_folder_or_none(made: Adapter, tmp_path: Path, inside: str):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as content:
        for file in FILES:
            content.write(made.folder / file, inside + file)
    assert import_adapter(path).name == "vessel-test"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2], ids=["lzma", "bzip2"])
def test_unusual_compression_is_refused_even_if_damaged(made: Adapter, tmp_path: Path, method: int):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w", compression=method) as content:
        for file in FILES:
            content.write(made.folder / file, file)
        first = content.infolist()[0]
    damaged = bytearray(path.read_bytes())
    start = first.header_offset + 30 + len(first.filename)
    damaged[start : start + first.compress_size] = b"\xff" * first.compress_size
    path.write_bytes(damaged)
    with pytest.raises(AdapterError, match=r"other\.zip: .* unsupported compression"):
        import_adapter(path)
    assert visible() == []


def test_files_added_by_macos_are_ignored(packed: Path):
    def add(content: zipfile.ZipFile) -> None:
        content.writestr("__MACOSX/vessel-test/._README.md", b"x")
        content.writestr("vessel-test/.DS_Store", b"x")
        content.writestr("vessel-test/", b"")

    installed = import_adapter(repacked(packed, add))
    assert {path.name for path in installed.folder.iterdir()} == set(FILES)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "vessel-test/../../README.md",
        "/etc/README.md",
        "C:/README.md",
        "vessel-test\\..\\README.md",
        "vessel-test//README.md",
        "./README.md",
    ],
)
def test_archive_paths_outside_its_folder_are_refused(packed: Path, tmp_path: Path, name: str):
    before = sorted(tmp_path.rglob("*"))
    path = repacked(packed, lambda content: content.writestr(zipfile.ZipInfo(name), b"x"))
    with pytest.raises(AdapterError, match="outside its folder"):
        import_adapter(path)
    assert visible() == []
    assert sorted(tmp_path.rglob("*")) == sorted([*before, path])


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(packed: Path, kind: int):
    entry = zipfile.ZipInfo("link/README.md")
    entry.external_attr = (kind | 0o777) << 16
    path = repacked(packed, lambda content: content.writestr(entry, b"/etc/passwd"))
    with pytest.raises(AdapterError, match="a link or device"):
        import_adapter(path)
    assert visible() == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vessel-test/run.py", "nothing but"),
        ("vessel-test/adapter_model.bin", "nothing but"),
        ("vessel-test/deep/README.md", "nothing but"),
        ("vessel-test/README.md", "nothing but"),
        ("other/README.md", "nothing but"),
    ],
)
def test_archive_with_other_files_is_refused(packed: Path, name: str, message: str):
    path = repacked(packed, lambda content: content.writestr(name, b"x"))
    with pytest.raises(AdapterError, match=message):
        import_adapter(path)
    assert visible() == []


def test_files_of_two_adapters_are_refused(made: Adapter, tmp_path: Path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as content:
        for number, file in enumerate(FILES):
            content.write(made.folder / file, f"{number % 2}/{file}")
    with pytest.raises(AdapterError, match="more than one adapter"):
        import_adapter(path)


def test_archive_with_too_many_entries_is_refused(packed: Path):
    def add(content: zipfile.ZipFile) -> None:
        for number in range(40):
            content.writestr(f"__MACOSX/{number}", b"")

    with pytest.raises(AdapterError, match="holds 44 files"):
        import_adapter(repacked(packed, add))


def test_oversized_entries_are_refused_without_unpacking(made, tmp_path: Path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as content:
        content.writestr("README.md", b"\0" * (2 << 20))
    assert path.stat().st_size < 10_000
    with pytest.raises(AdapterError, match=r"'README.md' would have 2097152 bytes"):
        import_adapter(path)
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as content:
        content.writestr("adapter_model.safetensors", b"\0" * (2 << 20))
    monkeypatch.setattr(archive, "LARGEST_WEIGHTS", 1 << 20)
    with pytest.raises(AdapterError, match="2097152 bytes; the limit is 1048576"):
        import_adapter(path)


def test_entry_with_a_false_size_is_refused(packed: Path):
    """A zip file has the size of an entry in two places; both are set to a smaller one."""
    with zipfile.ZipFile(packed) as content:
        size = content.getinfo("vessel-test/adapter_model.safetensors").file_size
    raw = packed.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    packed.write_bytes(raw)
    with pytest.raises(AdapterError, match="corrupt"):
        import_adapter(packed)
    assert visible() == []


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_truncated_zip_is_refused(packed: Path, cut: int):
    packed.write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(AdapterError, match="corrupt or not a zip"):
        import_adapter(packed)
    with pytest.raises(AdapterError, match="no such file"):
        import_adapter(packed.with_name("none.zip"))


def test_flipped_bytes_in_an_archive_are_noticed(packed: Path):
    raw = bytearray(packed.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 8] = bytes(byte ^ 0xFF for byte in raw[middle : middle + 8])
    packed.write_bytes(raw)
    with pytest.raises(AdapterError, match="corrupt"):
        import_adapter(packed)
    assert list_adapters() == [a for a in list_adapters() if a.shipped]


def test_an_encrypted_file_is_refused(packed: Path):
    raw = bytearray(packed.read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.index(start) + flags
        raw[at] |= 1
    packed.write_bytes(raw)
    with pytest.raises(AdapterError, match="is encrypted"):
        import_adapter(packed)


def test_an_incomplete_adapter_is_not_installed(made: Adapter, tmp_path: Path):
    path = tmp_path / "part.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.write(made.folder / "sam2lora.json", "sam2lora.json")
    with pytest.raises(AdapterError, match=r"part\.zip: .*adapter_model\.safetensors is missing"):
        import_adapter(path)
    assert visible() == []
    with pytest.raises(AdapterError, match="no adapter called"):
        find_adapter("vessel-test")
