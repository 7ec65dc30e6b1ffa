"""Writing a dataset of synthetic images, and resuming an interrupted call."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets import check_dataset, read_dataset
from sam2lora.errors import OutputError, SettingsError
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.synthetic.folder import POINTS_NAME, write_synthetic_dataset
from sam2lora.synthetic.fundus import locate_fovea

SMALL = SyntheticSettings(size=96, lesions=False)


def test_written_dataset_has_the_drawn_images_and_masks(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_synthetic_dataset(
        tmp_path / "set",
        count=2,
        seed=3,
        settings=SMALL,
        processes=1,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(1, 2), (2, 2)]
    dataset = read_dataset(tmp_path / "set")
    assert [record.stem for record in dataset.records] == ["synthetic_00003", "synthetic_00004"]
    assert set(dataset.targets) == {"vessel", "disc", "cup"}
    drawn, record = draw_fundus(4, SMALL), dataset.records[1]
    assert np.array_equal(record.read_image().pixels, drawn.image)
    assert np.array_equal(record.read_field_of_view().mask, drawn.masks["fov"])
    for target in dataset.targets:
        assert np.array_equal(record.read_mask(target), drawn.masks[target])
    assert not (tmp_path / "set" / "masks" / "lesion_dark").exists()  # empty masks are not written
    assert not check_dataset(tmp_path / "set").problems


def test_foveas_are_a_dataset_of_points(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path, count=3, settings=SMALL, processes=1)
    records = read_dataset(tmp_path / POINTS_NAME).records
    visible = [seed for seed in range(3) if locate_fovea(seed, SMALL) is not None]
    assert [record.stem for record in records] == [f"synthetic_{seed:05}" for seed in visible]
    for seed, record in zip(visible, records, strict=True):
        place = record.point("fovea")
        assert (place.x, place.y) == pytest.approx(locate_fovea(seed, SMALL), abs=0.01)
        drawn = draw_fundus(seed, SMALL)
        assert drawn.masks["fov"][round(place.y), round(place.x)]
        across = np.nonzero(drawn.masks["disc"])[1].mean() - place.x
        assert (across > 0) == (drawn.eye == "right")


def test_interrupted_call_resumes(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path, count=2, settings=SMALL, processes=1)
    first, second = sorted((tmp_path / "images").iterdir())
    before, kept = first.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    write_synthetic_dataset(tmp_path, count=2, settings=SMALL, processes=1)
    assert second.exists()
    assert (first.read_bytes(), first.stat().st_mtime_ns) == (before, kept)


def test_invalid_counts_seeds_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="At least one"):
        write_synthetic_dataset(tmp_path / "set", count=0)
    with pytest.raises(SettingsError, match="from -1"):
        write_synthetic_dataset(tmp_path / "set", count=1, seed=-1)
    assert not (tmp_path / "set").exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_synthetic_dataset(tmp_path / "file", count=1)
