"""The built wheel, not the checkout: its files, and whether it works once installed."""

import email
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


def run(command: list[str | Path], folder: Path) -> str:
    """Run a command in `folder`, outside the checkout, and return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive, and from it the wheel, as a release does."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], folder)
    assert len(list(folder.glob("*.tar.gz"))) == 1
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that takes only its dependencies from the current one.

    The current site-packages are appended as a plain path, so that its `.pth` files, through which
    the checkout is installed, are not followed.
    """
    folder = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", "env"], folder)
    binaries = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", binaries / "python"]
    run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], folder)
    show = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run([binaries / "python", "-c", show], folder).strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return binaries


def test_wheel_holds_both_packages_and_the_manifest(wheel: Path):
    names = set(ZipFile(wheel).namelist())
    expected = {
        "napari_sam2lora/__init__.py",
        "napari_sam2lora/napari.yaml",
        "sam2lora/__init__.py",
        "sam2lora/py.typed",
        "sam2lora/cli/__init__.py",
        "sam2lora/assets/nano.safetensors",
        "sam2lora/assets/adapters/nano-vessel/sam2lora.json",
    }
    assert expected <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "napari_sam2lora",
        "sam2lora",
    }
    licenses = {Path(name).name for name in names if "/licenses/" in name}
    assert licenses == {"LICENSE", "NOTICE"}


def test_metadata_are_what_napari_hub_shows(wheel: Path):
    with ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(content.read(name))
    assert metadata["Name"] == "napari-sam2lora"
    assert 20 < len(metadata["Summary"]) <= 160
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"Framework :: napari", "Typing :: Typed"} <= set(metadata.get_all("Classifier"))
    assert metadata["Description-Content-Type"] == "text/markdown"
    description = str(metadata.get_payload(decode=True), "utf-8")
    first_screen = description.split("\n## ")[0]
    assert first_screen.startswith("# napari-sam2lora\n")
    assert "![" in first_screen
    assert "not a medical device" in first_screen
    manifest = PluginManifest.from_file(ROOT / "napari_sam2lora" / "napari.yaml")
    assert 3 <= len(manifest.display_name) <= 90


def test_demo_runs_from_the_installed_wheel(installed: Path, tmp_path: Path):
    show = "import sam2lora, napari_sam2lora; print(sam2lora.__file__, napari_sam2lora.__file__)"
    for place in run([installed / "python", "-c", show], tmp_path).split():
        assert Path(place).is_relative_to(installed.parent)
    run([installed / "sam2lora", "demo", "--out", "made"], tmp_path)
    made = sorted(path.suffix for path in (tmp_path / "made").iterdir() if path.is_file())
    assert ".png" in made
    assert json.loads(next((tmp_path / "made").glob("*.json")).read_text(encoding="utf-8"))


def test_napari_finds_the_manifest_of_the_installed_wheel(installed: Path, tmp_path: Path):
    show = (
        "from npe2 import PluginManifest as P;"
        "print(P.from_distribution('napari-sam2lora').contributions.readers[0].command)"
    )
    shown = run([installed / "python", "-c", show], tmp_path)
    assert shown.strip().startswith("napari-sam2lora.")
