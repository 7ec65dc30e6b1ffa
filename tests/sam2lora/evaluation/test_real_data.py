"""Evaluation on real datasets: published figures are reproduced, large images are scored."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets import read_dataset
from sam2lora.evaluation import PROTOCOLS, EvaluateSettings, evaluate_grader, plan_parts
from sam2lora.evaluation.cases import prepare_case, read_case
from sam2lora.evaluation.report.schema import METRICS
from sam2lora.evaluation.scoring import score_probabilities
from sam2lora.targets import TARGETS


def test_second_grader_of_drive_has_the_published_dice(real_data: Path) -> None:
    """0.788 (0.021), with split, field of view, masks and metric of bob.ip.binseg."""
    settings = EvaluateSettings(target="vessel")
    (part,) = plan_parts([real_data / "DRIVE"], settings)
    assert (part.split, len(part.records)) == ("test", 20)
    dice = [result.score.scores["dice"] for result in evaluate_grader(part.records, settings)]
    assert np.mean(dice) == pytest.approx(0.788, abs=0.003)
    assert np.std(dice, ddof=1) == pytest.approx(0.021, abs=0.002)


def test_large_image_has_all_metrics(real_data: Path) -> None:
    record = read_dataset(real_data / "HRF").records[0]
    case = read_case(record, "vessel", PROTOCOLS["literature"])
    assert case.reference.shape == (2336, 3504)
    noise = np.random.default_rng(0).random(case.reference.shape, dtype=np.float32)
    prepared = prepare_case(case, TARGETS["vessel"], PROTOCOLS["literature"])
    score = score_probabilities(0.5 * case.reference + 0.7 * noise, prepared, 0.6)
    assert all(score.scores[name] is not None for name in METRICS)
    assert 0.3 < score.scores["dice"] < 0.9


@pytest.mark.parametrize("name", ["DRIVE", "CHASEDB1", "HRF"])
def test_paper_protocol_keeps_the_area_of_the_reference(real_data: Path, name: str) -> None:
    record = next(
        record for record in read_dataset(real_data / name).records if record.split != "train"
    )
    paper = PROTOCOLS["paper"]
    case = read_case(record, "vessel", paper)
    prepared = prepare_case(case, TARGETS["vessel"], paper)
    assert prepared.reference.shape == (1024, 1024)
    assert prepared.reference.mean() == pytest.approx(case.reference.mean(), rel=0.01)
