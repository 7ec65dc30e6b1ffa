"""Published figures of the datasets that have them, each with a source."""

import pytest

from sam2lora.datasets import DATASETS
from sam2lora.evaluation.report.published_figures import SOURCES, published_figures

KNOWN = [
    *((name, "vessel") for name in ("DRIVE", "CHASE_DB1", "STARE", "HRF", "FIVES")),
    *((name, target) for name in ("DRISHTI-GS", "REFUGE") for target in ("disc", "cup")),
]


@pytest.mark.parametrize(("dataset", "target"), KNOWN)
def test_published_figures_have_a_source_and_a_known_dataset(dataset: str, target: str) -> None:
    figures = published_figures(dataset, target)
    assert len(figures) >= 4
    assert dataset in DATASETS
    assert target in DATASETS[dataset].masks
    for figure in figures:
        assert figure.source is SOURCES[figure.source.key]
        for number in figure.dice.split("–"):
            assert 0.05 < float(number) < 1


def test_published_dice_of_the_second_grader_on_drive() -> None:
    figures = {figure.who: figure.dice for figure in published_figures("DRIVE", "vessel")}
    assert figures["second human grader"] == "0.788"
    assert figures["SAM2LoRA as published, best rank"] == "0.796"


@pytest.mark.parametrize(("dataset", "target"), [("DRIVE", "disc"), ("mine", "vessel")])
def test_other_datasets_and_targets_have_no_published_figures(dataset: str, target: str) -> None:
    assert published_figures(dataset, target) == []
