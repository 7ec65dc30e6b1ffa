"""The recipe of the embedded model: what its parts learn from, and a few steps of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lora.adapters import find_adapter
from sam2lora.datasets.csv_dataset import TABLE_NAME
from sam2lora.runs import RunFolder
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.training.data_split import plan_data
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings, make_settings
from scripts import nano_parts
from scripts.nano_parts import VESSELS, last_step, prepare, settings_for

pytestmark = pytest.mark.shipped  # the parts continue from the package's adapters

NAMES = {
    "DRIVE": ("01_test", "21_training", "22_training", "23_training"),
    "CHASEDB1": ("Image_01L", "Image_02L", "Image_11L", "Image_14R"),
    "HRF": ("01_h", "02_h", "07_h", "08_dr"),
    "Drishti-GS1_files": ("drishtiGS_002", "drishtiGS_004", "drishtiGS_008", "drishtiGS_101"),
    "DRIONS-DB": ("image_001", "image_002", "image_003", "image_094", "image_110"),
    "IDRiD": ("IDRiD_01", "IDRiD_02", "IDRiD_03"),
}
"""Images of small datasets with the names of the real ones; those for testing are among them."""

DISCS = ("IDRiD", "Drishti-GS1_files", "DRIONS-DB")
KEPT = {
    "01_test",
    "Image_11L",
    "Image_14R",
    "07_h",
    "08_dr",
    "drishtiGS_101",
    "image_094",
    "image_110",
}
"""Those of them that are kept for testing."""

TARGETS = ("vessel", "disc", "cup")
FEW: dict[str, Any] = {"steps": 2, "batch": 1, "workers": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the datasets."""
    root = tmp_path_factory.mktemp("public")
    for seed, (name, stems) in enumerate(NAMES.items()):
        table = [",".join(("image", *TARGETS, "patient", "split"))]
        for number, stem in enumerate(stems):
            drawn = draw_fundus(10 * seed + number, SyntheticSettings(size=128))
            masks = {target: drawn.masks[target] for target in TARGETS}
            split = "test" if stem == "01_test" else "train"
            files = [f"{place}/{stem}.png" for place in ("images", *TARGETS)]
            table.append(",".join((*files, stem, split)))
            for place, pixels in {"images": drawn.image, **masks}.items():
                (root / name / place).mkdir(parents=True, exist_ok=True)
                scaled = pixels if pixels.ndim == 3 else pixels.astype(np.uint8) * 255
                Image.fromarray(scaled).save(root / name / place / f"{stem}.png")
        (root / name / TABLE_NAME).write_text("\n".join(table))
    return root


@pytest.fixture(autouse=True)
def _without_ellipses_and_crops(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """Leave out what has no small dataset here."""
    for target, names in (("disc", DISCS), ("cup", (nano_parts.RESIZED,))):
        monkeypatch.setitem(nano_parts.ADAPTERS[target], "data", names)


def settings(part: str, data: Path, out: Path) -> TrainSettings:
    preset = "detail" if part == "vessel-head" else "standard"
    return make_settings(preset, settings_for(part, data, out), FEW)


def learned_and_validated(part: str, data: Path, out: Path) -> Iterator[tuple[str, str]]:
    plan = plan_data(settings(part, data, out))
    for item in (*plan.validation, *(item for group in plan.groups for item in group)):
        folder = item.record.image.parents[1].name
        yield folder, item.record.image.stem


@pytest.mark.parametrize("part", ["vessel", "vessel-head", "disc"])
def test_no_part_learns_from_a_test_image_or_chooses_by_it(part: str, data: Path, tmp_path: Path):
    seen = set(learned_and_validated(part, data, tmp_path))
    names = DISCS if part == "disc" else VESSELS
    assert seen == {(name, stem) for name in names for stem in NAMES[name] if stem not in KEPT}


def test_cups_are_made_smaller_and_not_of_test_images(data: Path, tmp_path: Path):
    prepare("cup", data, tmp_path)
    seen = {stem for _, stem in learned_and_validated("cup", data, tmp_path)}
    assert {stem.partition("_")[0] for stem in seen} == {"0", "1", "2", "3"}
    assert not any(stem.endswith("drishtiGS_101") for stem in seen)


@pytest.mark.parametrize("part", ["vessel", "vessel-head", "disc", "cup"])
def test_part_continues_from_the_package_and_gives_an_adapter(
    part: str, data: Path, tmp_path: Path
):
    prepare(part, data, tmp_path)
    chosen = settings(part, data, tmp_path)
    assert chosen.start_from == f"nano-{part.partition('-')[0]}"
    run = RunFolder.create(tmp_path / part, chosen.model_dump_json())
    list(train(run))
    assert last_step(run.path) == run.adapter(2)
    card = find_adapter(run.path).card
    assert card.target.name == chosen.target
    assert card.share < 5
