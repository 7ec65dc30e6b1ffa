"""The report folder: complete, readable and consistent."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from sam2lora.compute.workers import Cluster
from sam2lora.errors import DatasetError, ReportError, SettingsError
from sam2lora.evaluation import (
    Candidate,
    EvaluateSettings,
    Report,
    grader_candidate,
    network_candidate,
    plan_parts,
    read_report,
    write_report,
)
from sam2lora.images.reading import read_mask
from sam2lora.images.visualization import ERROR_COLORS
from sam2lora.inference.pipeline import load_predictor
from sam2lora.metrics.aggregate import summarize
from sam2lora.targets import TARGETS

from ..conftest import INSIDE, SIDE, Oracle, always, make_case, square

VESSEL = EvaluateSettings(target="vessel", regimes=("none", "1p"))
FILES = {
    *("report.json", "report.md", "per_image.csv", "masks"),
    *("dice.png", "roc.png", "thresholds.png", "overview.png", "overview_1p.png"),
}
GRADERS = {
    "Image_01L": (square(20, 20, 16), square(24, 20, 16)),
    "Image_01R": (square(20, 20, 16), square(20, 20, 16)),
    "Image_02L": (square(30, 20, 16), square(20, 20, 16)),
    "Image_02R": (np.zeros((SIDE, SIDE), bool), square(20, 20, 16)),
}


@pytest.fixture
def chase(write_chase) -> Path:
    """Write four images with two graders each, one of them with an empty reference."""
    return write_chase(GRADERS)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Report]:
    """Return a function that writes a report to `tmp_path / "report"`."""

    def write(
        roots: list[Path],
        candidates: list[Candidate],
        settings: EvaluateSettings = VESSEL,
        **more: object,
    ) -> Report:
        parts = plan_parts(roots, settings)
        out = tmp_path / "report"
        return write_report(out, candidates, parts, settings, command="sam2lora x", **more)

    return write


def smooth(mask: np.ndarray) -> Oracle:
    """Return a predictor of a mask with random uncertainty."""
    noise = np.random.default_rng(0).random((SIDE, SIDE))
    return Oracle(lambda prepared, prompts: 0.6 * mask + 0.4 * noise)


def test_all_files_are_written_and_the_report_is_read_back(chase, write, tmp_path: Path) -> None:
    written = write([chase], [network_candidate(smooth(square(20, 20, 16)), VESSEL)])
    out = tmp_path / "report"
    assert {path.name for path in out.iterdir()} == FILES
    assert read_report(out) == written
    json.loads(
        (out / "report.json").read_text(encoding="utf-8"),
        parse_constant=lambda name: pytest.fail(f"{name} is not JSON"),
    )
    for picture in out.glob("*.png"):
        Image.open(picture).load()
    assert {path.name for path in tmp_path.iterdir()} == {"report", "chase"}


@pytest.mark.usefixtures("no_pictures")
def test_report_records_data_software_and_settings(chase, write) -> None:
    report = write([chase], [network_candidate(always(INSIDE), VESSEL)], device="cpu")
    (data,) = report.data
    assert (data.dataset, data.split, data.images) == ("CHASE_DB1", "all", 4)
    assert data.field_of_view == "found in the images"
    assert len(data.files) == 12
    assert all(re.fullmatch("[0-9a-f]{64}", str(file.sha256)) for file in data.files)
    assert report.command == "sam2lora x"
    assert {"napari-sam2lora", "torch", "numpy"} <= report.versions.keys()
    assert report.machine["device"] == "cpu"
    assert report.settings == VESSEL
    assert report.target == TARGETS["vessel"]
    (model,) = report.models
    assert (model.name, model.kind, model.threshold) == ("nano without adapter", "base", 0.5)


@pytest.mark.usefixtures("no_pictures")
def test_data_hash_changes_with_any_file(chase: Path, write) -> None:
    candidates = [network_candidate(always(INSIDE), VESSEL)]
    before = write([chase], candidates).data[0].sha256
    assert write([chase], candidates).data[0].sha256 == before
    Image.fromarray(square(1, 1, 40)).save(chase / "Image_01L_1stHO.png")
    assert write([chase], candidates).data[0].sha256 != before


@pytest.mark.usefixtures("no_pictures")
def test_cells_are_means_over_images_and_count_undefined(chase, write) -> None:
    report = write([chase], [network_candidate(smooth(square(20, 20, 16)), VESSEL)])
    none = report.cell("nano without adapter", "CHASE_DB1", "none")
    entries = report.scored("nano without adapter", "CHASE_DB1", "none")
    assert (none.images, none.failed, none.not_drawn, len(entries)) == (4, 0, 0, 4)
    dice = [entry.scores["dice"] for entry in entries]
    assert none.per_image["dice"].mean == pytest.approx(np.mean(dice))
    assert none.per_image["dice"].std == pytest.approx(np.std(dice, ddof=1))
    assert (none.per_image["hd95"].n, none.per_image["hd95"].undefined) == (3, 1)
    tp, fp, fn, _ = np.sum([entry.counts for entry in entries], axis=0)
    assert none.pooled["dice"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert none.pooled["dice"] != pytest.approx(none.per_image["dice"].mean)
    at_half = none.sweep[49]
    assert at_half == pytest.approx(none.per_image["dice"].mean)
    points = report.cell("nano without adapter", "CHASE_DB1", "1p")
    assert (points.images, points.not_drawn) == (4, 1)


@pytest.mark.usefixtures("no_pictures")
def test_csv_has_a_row_for_each_image_regime_and_model(chase, write, tmp_path: Path) -> None:
    report = write([chase], [network_candidate(smooth(square(20, 20, 16)), VESSEL)])
    with (tmp_path / "report" / "per_image.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["image"], row["regime"]) for row in rows] == [
        (entry.image, entry.regime) for entry in report.images
    ]
    first = rows[0]
    assert float(first["dice"]) == pytest.approx(report.images[0].scores["dice"], rel=1e-5)
    assert int(first["tp"]) == report.images[0].counts[0]
    (empty,) = [row for row in rows if row["image"] == "Image_02R" and row["regime"] == "1p"]
    assert (empty["status"], empty["dice"]) == ("not drawn", "")
    assert "cannot be sampled" in empty["problem"]
    scored = [float(row["dice"]) for row in rows if row["regime"] == "none"]
    mean = summarize([{"dice": value} for value in scored])["dice"].mean
    assert report.cells[0].per_image["dice"].mean == pytest.approx(mean, abs=1e-5)


@pytest.mark.usefixtures("no_pictures")
def test_saved_masks_are_those_that_were_scored(chase, write, tmp_path: Path) -> None:
    mask = square(10, 10, 40) | ~INSIDE
    report = write([chase], [network_candidate(always(mask), VESSEL)])
    (entry,) = [
        entry for entry in report.images if (entry.image, entry.regime) == ("Image_01L", "1p")
    ]
    reference = read_mask(tmp_path / "report" / entry.truth)
    found = read_mask(tmp_path / "report" / entry.answer)
    np.testing.assert_array_equal(reference, GRADERS["Image_01L"][0])
    tp, fp, fn, _ = entry.counts
    assert (found & reference).sum() == tp
    assert (found & ~reference).sum() == fp
    assert (~found & reference).sum() == fn


@pytest.mark.usefixtures("no_pictures")
def test_cells_cover_all_models_and_datasets(chase, write, write_set, make_adapter) -> None:
    vessel = {"target": TARGETS["vessel"]}
    other = write_set("mine", {"a": make_case("a"), "b c": make_case("b")}, target="vessel")
    adapter = make_adapter("v1", data={"images": {"mine vessel": 2}}, **vessel)
    settings = EvaluateSettings(target="vessel")
    report = write(
        [chase, other],
        [
            network_candidate(smooth(INSIDE), settings),
            network_candidate(smooth(square(20, 20, 16)), settings, adapter),
        ],
        settings,
    )
    assert [(cell.model, cell.dataset) for cell in report.cells] == [
        (model, dataset)
        for model in ("nano without adapter", "v1")
        for dataset in ("CHASE_DB1", "mine")
    ]
    assert report.models[1].adapter == adapter.card
    assert len(str(report.models[1].adapter_sha256)) == 64
    assert len({entry.answer for entry in report.images}) == len(report.images)


@pytest.mark.usefixtures("no_pictures")
def test_second_grader_is_reported_next_to_a_network(chase, write, tmp_path: Path) -> None:
    both = [network_candidate(always(INSIDE), VESSEL), grader_candidate(VESSEL)]
    report = write([chase], both)
    cell = report.cell("grader 2", "CHASE_DB1", "none")
    expected = [0.75, 1, 2 * 6 * 16 / 512, 0]
    assert cell.per_image["dice"].mean == pytest.approx(np.mean(expected))
    assert (cell.per_image["auc"].mean, cell.per_image["auc"].undefined) == (None, 4)
    assert (cell.sweep, cell.roc) == ((), ((), ()))
    assert report.cell("grader 2", "CHASE_DB1", "1p") is None


def test_report_of_graders_only_has_no_roc_curve(chase, write, tmp_path: Path) -> None:
    settings = EvaluateSettings(target="vessel")
    write([chase], [grader_candidate(settings)], settings)
    out = tmp_path / "report"
    assert not (out / "roc.png").exists()
    text = (out / "report.md").read_text(encoding="utf-8")
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (out / name).is_file()


def test_invalid_candidate_is_refused_before_any_prediction(write, write_set) -> None:
    mine = write_set("mine", {"a": make_case("a")}, target="vessel")

    def refuse(prepared: object, prompts: object) -> np.ndarray:
        raise AssertionError("prediction has started")

    with pytest.raises(DatasetError, match="mine: none of the 1 images has a mask of vessel by"):
        write([mine], [network_candidate(Oracle(refuse), VESSEL), grader_candidate(VESSEL)])


def test_two_candidates_with_one_name_are_refused(chase, write) -> None:
    candidates = [network_candidate(always(INSIDE), VESSEL) for _ in range(2)]
    with pytest.raises(SettingsError, match="called 'nano without adapter'"):
        write([chase], candidates)


def test_no_report_is_written_if_no_image_is_scored(chase: Path, write, tmp_path) -> None:
    for image in chase.glob("*.jpg"):
        image.write_text("no picture")
    with pytest.raises(ReportError, match=r"None of the images could be scored.*Image_01L\.jpg"):
        write([chase], [network_candidate(always(INSIDE), VESSEL)])
    assert {path.name for path in tmp_path.iterdir()} == {"chase"}


@pytest.mark.usefixtures("no_pictures")
def test_failed_images_are_counted_and_listed(chase: Path, write, tmp_path: Path) -> None:
    (chase / "Image_01R.jpg").write_text("no picture")
    report = write([chase], [network_candidate(always(INSIDE), VESSEL)])
    assert [cell.failed for cell in report.cells] == [1, 1]
    assert [file.path for file in report.data[0].files if file.sha256 is None] == []
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "Not scored: 3" in text
    assert "Image_01R" in text


@pytest.mark.usefixtures("no_pictures")
def test_progress_covers_all_candidates_and_datasets(chase, write, write_set) -> None:
    seen: list[tuple[float, int]] = []
    mine = write_set("mine", {"a": make_case("a")}, target="vessel")
    both = [network_candidate(always(INSIDE), VESSEL)]
    write([chase, mine], both, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 5), (5, 5))


def test_overview_shows_found_false_and_missed_pixels(chase, write, tmp_path: Path) -> None:
    write([chase], [network_candidate(always(square(26, 20, 16)), VESSEL)])
    picture = np.asarray(Image.open(tmp_path / "report" / "overview.png").convert("RGB"))
    for color in ERROR_COLORS:
        rgb = ImageColor.getrgb(color)
        assert (np.abs(picture.astype(int) - rgb).max(axis=-1) <= 2).sum() > 500
    assert picture.shape[1] > 1000


def test_image_deleted_during_evaluation_is_drawn_black(chase: Path, write, tmp_path: Path) -> None:
    def score_then_delete(records: object, progress: object) -> Iterator[object]:
        yield from candidate.score(records, progress)
        for image in chase.glob("*.jpg"):
            image.unlink()

    candidate = network_candidate(always(square(26, 20, 16)), VESSEL)
    report = write([chase], [Candidate(candidate.entry, score_then_delete)])
    assert (tmp_path / "report" / "overview.png").is_file()
    assert sum(file.sha256 is None for file in report.data[0].files) == 4


@pytest.mark.usefixtures("no_pictures")
def test_cluster_gives_the_same_report(
    chase: Path, write: Callable[..., Report], cluster: Cluster, one_thread: None
) -> None:
    predictor = load_predictor("nano", device="cpu", precision="float32")
    alone, shared = (
        write([chase], [network_candidate(predictor, VESSEL, cluster=where)])
        for where in (None, cluster)
    )
    times = {"made": True, "images": True, "cells": {"__all__": {"seconds"}}}
    assert shared.model_dump(exclude=times) == alone.model_dump(exclude=times)
    for one, two in zip(alone.images, shared.images, strict=True):
        assert two.model_copy(update={"seconds": one.seconds}) == one
