"""Predictions that are measured, and not made again."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sam2lora.cohort import find_records, measure_records, read_table
from sam2lora.cohort.predictions import predict_and_measure
from sam2lora.compute.workers import Cluster
from sam2lora.inference.confidence_file import update_confidences
from sam2lora.inference.pipeline import load_predictor
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.settings import PredictSettings


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor("nano", device="cpu")


@pytest.fixture
def settings(tmp_path: Path, photo: NDArray[np.uint8]) -> PredictSettings:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "a_OD.png")
    Image.fromarray(photo[:, ::-1]).save(folder / "b_OS.png")
    return PredictSettings(
        images=(str(folder),), targets=("disc", "cup"), out=str(tmp_path / "masks"), no_adapter=True
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def run(settings: PredictSettings, table: Path, predictor: Predictor) -> list:
    return list(predict_and_measure(settings, table, predictor=predictor))


def test_rows_are_those_of_measure_and_say_what_predicted(
    settings: PredictSettings, table: Path, predictor: Predictor, tmp_path: Path
):
    results = run(settings, table, predictor)
    assert [sorted(result.files) for result in results] == [["cup", "disc"]] * 2
    rows = read_table(table)
    assert [row["eye"] for row in rows] == ["right", "left"]
    assert {row["model"] for row in rows} == {"nano"}
    assert rows[0]["model_sha256"] == predictor.base.weights_sha256
    assert rows[0]["disc_predicted_iou"] == f"{results[0].iou['disc']:.6g}"
    assert "--bare" in rows[0]["predict_options"]
    records = find_records(settings.images, masks=Path(settings.out))
    measure_records(records, tmp_path / "again.csv")
    again = read_table(tmp_path / "again.csv")
    same = ("file", "patient", "disc_area_px", "field_diameter_px", "inputs_sha256", "warnings")
    assert [[row[name] for name in same] for row in again] == [
        [row[name] for name in same] for row in rows
    ]


def test_what_is_there_is_not_predicted_again(
    settings: PredictSettings, table: Path, predictor: Predictor
):
    run(settings, table, predictor)
    before = table.read_bytes()
    assert [result.kept for result in run(settings, table, predictor)] == [("disc", "cup")] * 2
    assert table.read_bytes() == before
    (Path(settings.out) / "b_OS_cup.png").unlink()
    results = run(settings, table, predictor)
    assert [len(result.files) for result in results] == [0, 2]
    assert table.read_bytes() == before


@pytest.mark.shipped
def test_confidences_are_those_of_the_folder(
    settings: PredictSettings, table: Path, predictor: Predictor, tmp_path: Path
):
    sure = settings.model_copy(update={"no_adapter": False, "targets": ("disc", "cup", "fovea")})
    results = run(sure, table, predictor)
    rows = read_table(table)
    confidence = results[0].confidence["disc"]
    assert confidence is not None
    assert rows[0]["disc_confidence"] == f"{round(confidence, 3):.6g}"
    point = results[0].points["fovea"]
    assert rows[0]["fovea_source"] == "predicted"
    assert rows[0]["fovea_x_px"] == f"{point.x:.6g}"
    assert rows[0]["fovea_confidence"] == f"{point.confidence:.6g}"
    assert rows[0]["fovea_adapter"] != ""
    assert rows[0]["disc_fovea_distance_px"] != ""
    again = tmp_path / "again.csv"
    records = find_records(sure.images, masks=Path(sure.out))
    assert measure_records(records, again).kept == 0
    same = ("disc_confidence", "cup_confidence", "fovea_x_px", "fovea_source", "inputs_sha256")
    assert [[row[name] for name in same] for row in read_table(again)] == [
        [row[name] for name in same] for row in rows
    ]
    assert measure_records(records, again).kept == 2
    update_confidences(Path(sure.out), {"a_OD.png": {"disc": 0.5}})
    assert measure_records(find_records(sure.images, masks=Path(sure.out)), again).kept == 1
    assert read_table(again)[0]["disc_confidence"] == "0.5"


def test_other_options_predict_again(settings: PredictSettings, table: Path, predictor: Predictor):
    run(settings, table, predictor)
    other = settings.model_copy(update={"threshold": 0.4})
    assert [len(result.files) for result in run(other, table, predictor)] == [2, 2]
    assert "--threshold 0.4" in read_table(table)[0]["predict_options"]


def test_interrupted_prediction_is_continued_to_the_same_bytes(
    settings: PredictSettings, table: Path, predictor: Predictor
):
    run(settings, table, predictor)
    whole = table.read_bytes()
    table.unlink()
    started = predict_and_measure(settings, table, predictor=predictor)
    next(started)
    started.close()
    assert len(read_table(table)) == 1
    assert [len(result.files) for result in run(settings, table, predictor)] == [0, 2]
    assert table.read_bytes() == whole


def test_broken_image_is_a_row(settings: PredictSettings, table: Path, predictor: Predictor):
    (Path(settings.images[0]) / "c.png").write_bytes(b"\x89PNG")
    results = run(settings, table, predictor)
    assert results[2].error
    row = read_table(table)[2]
    assert row["error"]
    assert row["disc_area_px"] == ""
    assert results[2].error.endswith(row["error"])


def test_kept_masks_are_measured_without_saying_who_made_them(
    settings: PredictSettings, table: Path, predictor: Predictor
):
    run(settings, table, predictor)
    table.unlink()
    keep = settings.model_copy(update={"keep": True})
    assert [result.kept for result in run(keep, table, predictor)] == [("disc", "cup")] * 2
    row = read_table(table)[0]
    assert row["model"] == ""
    assert row["disc_area_px"] != ""


def test_cluster_gives_the_same_masks_and_bytes(
    settings: PredictSettings,
    table: Path,
    predictor: Predictor,
    tmp_path: Path,
    cluster: Cluster,
    one_thread: None,
):
    (Path(settings.images[0]) / "c.png").write_bytes(b"\x89PNG")
    alone = run(settings, table, predictor)
    shared = settings.model_copy(update={"out": str(tmp_path / "shared")})
    other = tmp_path / "other.csv"
    shown: list[float] = []
    results = list(
        predict_and_measure(
            shared,
            other,
            predictor=predictor,
            cluster=cluster,
            progress=lambda one: shown.append(one.done),
        )
    )
    assert other.read_bytes() == table.read_bytes()
    assert [result.error for result in results] == [result.error for result in alone]
    assert shown == [1, 2, 3]
    for path in Path(settings.out).iterdir():
        assert (tmp_path / "shared" / path.name).read_bytes() == path.read_bytes()
    again = predict_and_measure(shared, other, predictor=predictor, cluster=cluster)
    assert [result.kept for result in again] == [("disc", "cup"), ("disc", "cup"), ()]


def test_masks_that_are_kept_are_kept_on_a_cluster(
    settings: PredictSettings, table: Path, predictor: Predictor, cluster: Cluster
):
    run(settings, table, predictor)
    keep = settings.model_copy(update={"keep": True})
    (Path(settings.out) / "a_OD_cup.png").unlink()
    results = predict_and_measure(keep, table, predictor=predictor, cluster=cluster)
    assert [result.kept for result in results] == [("disc",), ("disc", "cup")]
