"""Summaries of the errors of a point."""

import pytest

from sam2lora.evaluation.report.point_report import PointEntry, summaries


def entry(dataset: str, error: float, discs: float | None) -> PointEntry:
    return PointEntry(
        model="m",
        dataset=dataset,
        image=f"{dataset}{error}",
        patient="p",
        path="a.png",
        problem="",
        reference=(0, 0),
        found=(error, 0),
        confidence=0.5,
        error=error,
        error_in_discs=discs,
        disc="reference",
        seconds=0.1,
    )


def test_each_dataset_and_all_together_are_summarized() -> None:
    entries = [entry("a", 10, 0.1), entry("a", 30, 0.3), entry("b", 50, None)]
    first, second, both = summaries(entries)
    assert (first.dataset, first.images, first.mean) == ("a", 2, 20)
    assert (first.mean_in_discs, first.near) == (pytest.approx(0.2), 0.5)
    assert first.worst_in_discs == pytest.approx(0.3)
    assert (second.dataset, second.mean_in_discs, second.near) == ("b", None, None)
    assert (both.dataset, both.images, both.mean) == ("all", 3, 30)
    assert [one.dataset for one in summaries(entries[:2])] == ["a"]
