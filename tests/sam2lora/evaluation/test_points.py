"""Evaluation of a point: distances in pixels and in diameters of the optic disc."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sam2lora.adapters import Adapter
from sam2lora.datasets import read_dataset
from sam2lora.errors import SettingsError
from sam2lora.evaluation import EvaluateSettings, plan_parts
from sam2lora.evaluation.points import check_point_settings, evaluate_points
from sam2lora.targets import FOVEA

from .conftest import Oracle, always, square

SETTINGS = EvaluateSettings(target="fovea")
TABLE = """dataset,image,structure,cx,cy,rx,ry
eyes,p00_left,disc,40,60,10,10
eyes,p00_left,fovea,80,64,,
eyes,p01_left,fovea,80,60,,
"""


@pytest.fixture
def table(eyes: Path, tmp_path: Path) -> Path:
    (tmp_path / "eyes").symlink_to(eyes)
    path = tmp_path / "own.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def oracle() -> Oracle:
    """Return a predictor that locates every point at (80, 60)."""
    return always(square(78, 58, 5, size=128))


def test_error_is_in_pixels_and_in_discs(
    table: Path, oracle: Oracle, make_adapter: Callable[..., Adapter]
) -> None:
    (part,) = plan_parts([table], SETTINGS)
    adapter = make_adapter("fovea-test", target=FOVEA)
    calls: list[tuple[float, int]] = []
    first, second = evaluate_points(
        oracle,
        part.records,
        SETTINGS,
        adapter=adapter,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(0, 2), (1, 2), (2, 2)]
    assert (first.reference, first.found, first.error) == ((80, 64), (80, 60), 4)
    assert first.disc_source == "reference"
    assert first.error_in_discs == pytest.approx(4 / 20, rel=0.02)
    assert (second.error, second.disc_source, second.error_in_discs) == (0, None, None)


def test_image_that_cannot_be_read_is_a_problem_of_its_own(
    table: Path, oracle: Oracle, make_adapter: Callable[..., Adapter]
) -> None:
    records = read_dataset(table).records
    disc_only = records[0].masks["disc"]
    broken = type(records[0])(**{**vars(records[0]), "masks": {"disc": disc_only}})
    bad, good = evaluate_points(
        oracle,
        [broken, records[1]],
        SETTINGS,
        adapter=make_adapter("fovea-test", target=FOVEA),
    )
    assert "has no point for fovea" in bad.problem
    assert bad.error is None
    assert not good.problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regimes": ("none", "box")}, "a click sets it"),
        ({"interactive": True}, "a click sets it"),
        ({"protocol": "paper"}, "protocol 'literature'"),
    ],
)
def test_settings_of_masks_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_point_settings(EvaluateSettings.model_validate({"target": "fovea"} | changes))


def test_disk_around_the_point_stands_for_its_mask(table: Path) -> None:
    record = read_dataset(table, target="fovea").records[0]
    assert (record.point("fovea").x, record.point("fovea").y) == (80, 64)
    rows, columns = np.nonzero(record.read_mask("fovea"))
    assert (columns.mean(), rows.mean()) == (80, 64)
    assert np.ptp(rows) + 1 == pytest.approx(2 * 128 / 28, abs=1)
