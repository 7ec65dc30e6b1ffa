"""Evaluation on real data sets: published figures come out, and large images are judged whole."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets import read_dataset
from sam2lora.evaluation import PROTOCOLS, EvaluateSettings, evaluate_grader, plan_parts
from sam2lora.evaluation.cases import prepare_case, read_case
from sam2lora.evaluation.report.schema import METRICS
from sam2lora.evaluation.scoring import score_probabilities
from sam2lora.targets import TARGETS


def test_the_second_grader_of_drive_has_the_published_dice(real_data: Path) -> None:
    """0.788 (0.021), as by bob.ip.binseg: split, field of view, masks and metric are theirs."""
    settings = EvaluateSettings(target="vessel")
    (part,) = plan_parts([real_data / "DRIVE"], settings)
    assert (part.split, len(part.records)) == ("test", 20)
    dice = [one.score.scores["dice"] for one in evaluate_grader(part.records, settings)]
    assert np.mean(dice) == pytest.approx(0.788, abs=0.003)
    assert np.std(dice, ddof=1) == pytest.approx(0.021, abs=0.002)


def test_a_large_image_has_all_metrics(real_data: Path) -> None:
    record = read_dataset(real_data / "HRF").records[0]
    case = read_case(record, "vessel", PROTOCOLS["literature"])
    assert case.reference.shape == (2336, 3504)
    noise = np.random.default_rng(0).random(case.reference.shape, dtype=np.float32)
    view = prepare_case(case, TARGETS["vessel"], PROTOCOLS["literature"])
    judged = score_probabilities(0.5 * case.reference + 0.7 * noise, view, 0.6)
    assert all(judged.scores[name] is not None for name in METRICS)
    assert 0.3 < judged.scores["dice"] < 0.9


@pytest.mark.parametrize("name", ["DRIVE", "CHASEDB1", "HRF"])
def test_by_the_papers_protocol_the_truth_keeps_its_area(real_data: Path, name: str) -> None:
    record = next(one for one in read_dataset(real_data / name).records if one.split != "train")
    paper = PROTOCOLS["paper"]
    case = read_case(record, "vessel", paper)
    view = prepare_case(case, TARGETS["vessel"], paper)
    assert view.reference.shape == (1024, 1024)
    assert view.reference.mean() == pytest.approx(case.reference.mean(), rel=0.01)
