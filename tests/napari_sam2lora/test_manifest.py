"""The manifest, which napari reads before it loads the plugin."""

import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManager, PluginManifest

from sam2lora.datasets import DATASETS

ROOT = Path(__file__).resolve().parents[2]
NAME = "napari-sam2lora"

# Datasets whose file names are too common to be claimed; they are opened by their folders.
COMMON_NAMES = {"DRIONS-DB", "DRIONS-DB-masks", "FIVES", "G1020", "GRAPE", "ORIGA", "REFUGE"}


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution(NAME)


@pytest.fixture(scope="module")
def plugins(manifest: PluginManifest) -> PluginManager:
    """Create a plugin manager with this plugin and napari's own readers."""
    manager = PluginManager()
    manager.register(manifest)
    manager.register(PluginManifest.from_distribution("napari"))
    return manager


def readers(plugins: PluginManager, path: str | Path) -> set[str]:
    return {reader.plugin_name for reader in plugins.iter_compatible_readers([str(path)])}


def test_every_command_can_be_imported(manifest: PluginManifest):
    manifest.validate_imports()
    assert manifest.contributions.commands


def test_manifest_has_the_name_of_the_distribution(manifest: PluginManifest):
    assert manifest.name == NAME == manifest.package_metadata.name
    assert manifest.schema_version == "0.3.0"


def test_every_menu_entry_is_a_command_and_every_command_is_used(manifest: PluginManifest):
    commands = {command.id for command in manifest.contributions.commands}
    entries = {item.command for menu in manifest.contributions.menus.values() for item in menu}
    assert entries <= commands
    used = {
        one.command
        for kind in ("readers", "writers", "widgets", "sample_data")
        for one in getattr(manifest.contributions, kind)
    }
    assert commands == entries | used


def test_manifest_at_the_root_links_to_the_package():
    top, inside = ROOT / "napari.yaml", ROOT / "napari_sam2lora" / "napari.yaml"
    if sys.platform == "win32" and not top.is_symlink():
        pytest.skip("this checkout was made without symbolic links")
    assert top.is_symlink()
    assert top.resolve() == inside
    assert not top.readlink().is_absolute()


@pytest.mark.parametrize("name", [name for name, layout in DATASETS.items() if layout.public])
def test_public_datasets_are_claimed_unless_their_file_names_are_common(
    name: str, plugins: PluginManager
):
    claimed = NAME in readers(plugins, Path(DATASETS[name].example).name)
    assert claimed == (name not in COMMON_NAMES)


@pytest.mark.parametrize("name", ["scan.dcm", "SCAN.DCM", "scan.dicom", "a.ppm.gz", "a.b.pgm.gz"])
def test_formats_without_another_good_reader_are_claimed(name: str, plugins: PluginManager):
    assert NAME in readers(plugins, name)


@pytest.mark.parametrize(
    "name",
    [
        *("cells.tif", "stack.tiff", "photo.jpg", "DSC00123.JPG", "IMG_0001.jpg", "image.png"),
        *("image_001.jpg", "1_A.png", "01.tif", "well_b2_test.tif", "train.ppm", "movie.gif"),
        *("01_manual1.gif", "01_test_mask.gif", "01_dr.tif", "notes.txt", "data.zarr"),
    ],
)
def test_other_files_are_left_to_other_readers(name: str, plugins: PluginManager):
    assert NAME not in readers(plugins, name)


def test_folders_are_claimed(tmp_path: Path, plugins: PluginManager):
    assert NAME in readers(plugins, tmp_path)


def test_importing_the_plugin_loads_only_the_standard_library():
    code = """
        import sys
        before = set(sys.modules)
        import napari_sam2lora
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        print(sorted(new - sys.stdlib_module_names))
    """
    lines = "\n".join(line.strip() for line in code.splitlines())
    result = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert result.stdout.strip() == "['napari_sam2lora']", result.stderr
