"""Files that the version before wrote are opened by today's code, and the run is resumed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.adapters import adopt_target, find_adapter, import_adapter, install_best
from sam2lora.annotations.store import Corrections
from sam2lora.datasets import read_dataset
from sam2lora.errors import AdapterError, DatasetError, ModelError, ReportError, TrainingError
from sam2lora.evaluation.report.comparison import Side, make_comparison
from sam2lora.evaluation.report.schema import read_report
from sam2lora.images.reading import read_image
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.runs import (
    FinishedEvent,
    ResumedEvent,
    RunFolder,
    StepEvent,
    best_adapter,
    list_runs,
    load_checkpoint,
    read_events,
    save_checkpoint,
)
from sam2lora.settings import LoraSettings
from sam2lora.targets import Target, all_targets
from sam2lora.training.loop import train
from sam2lora.training.settings import validate_settings


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def expected(folder: Path, name: str) -> Any:
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))[name]


def flip_byte(path: Path, *, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 255
    path.write_bytes(content)


def test_run_is_listed_with_status_and_best_adapter(version_before: Path):
    (run,) = list_runs(version_before)
    assert (run.name, run.target, run.base, run.state) == ("run", "disc", "nano", "stopped")
    assert (run.step, run.steps, run.images) == (2, 3, 2)
    best = best_adapter(version_before / "run")
    assert best is not None
    assert (best.step, best.folder) == (2, version_before / "run" / "adapters" / "2")
    assert run.best == pytest.approx(best.dice)


def test_every_event_of_the_run_is_understood(version_before: Path):
    events, skipped = read_events(version_before / "run" / "events.jsonl")
    assert skipped == 0
    kinds = ["started", "step", "step", "validation", "preview", "checkpoint", "checkpoint"]
    assert [event.kind for event in events] == [*kinds, "stopped"]


def test_run_is_resumed_exactly(version_before: Path, pocket: object):
    run = RunFolder.open(version_before / "run")
    events = list(train(run))
    assert isinstance(events[0], ResumedEvent)
    assert isinstance(events[-1], FinishedEvent)
    (step,) = [event for event in events if isinstance(event, StepEvent)]
    assert step.step == 3
    assert step.loss == pytest.approx(expected(version_before, "loss_of_step_3"), rel=1e-3)
    assert list_runs(version_before)[0].state == "finished"


def test_settings_of_the_run_start_another_one(version_before: Path):
    settings = validate_settings(RunFolder.open(version_before / "run").read_settings())
    assert (settings.target, settings.steps, settings.checkpoint_every) == ("disc", 3, 2)
    assert settings.lora == LoraSettings(placement="decoder", rank=1, dropout=0)
    assert settings.geometry is not None
    assert settings.geometry.detail == "whole"


def test_damaged_checkpoint_is_refused(version_before: Path, pocket: object):
    flip_byte(version_before / "run" / "checkpoint.pt", at=0.5)
    with pytest.raises(ModelError, match="truncated or corrupt"):
        list(train(version_before / "run"))


def test_checkpoint_without_a_field_is_refused(version_before: Path, pocket: object):
    path = version_before / "run" / "checkpoint.pt"
    content = load_checkpoint(path)
    del content["identity"]
    save_checkpoint(path, content)
    with pytest.raises(TrainingError, match="identity is missing"):
        list(train(version_before / "run"))


def test_exported_adapter_is_imported_with_its_card(version_before: Path):
    adapter = import_adapter(version_before / "run.zip", name="again")
    card = find_adapter("again").card
    assert adapter.card == card == find_adapter("run").card.renamed("again")
    assert (card.target.name, card.base.name, card.threshold) == ("disc", "nano", 0.4)
    assert (card.geometry.detail, card.lora.rank, card.lora.placement) == ("whole", 1, "decoder")
    assert card.training["step"] == 2
    assert card.training["optimizer"]["learning_rate"] == 0.01


@pytest.mark.parametrize("source", ["run.zip", "run", "adapters/run"])
def test_adapter_predicts_as_before(version_before: Path, pocket_base: LoadedModel, source: str):
    adapter = import_adapter(version_before / source, name="again")
    predictor = Predictor(pocket_base, device="cpu", precision="float32")
    predictor.set_adapter(adapter)
    image = PreparedImage.of(read_image(version_before / "images" / "eye0.jpg").pixels)
    prompts = Prompts(points=(PointPrompt(50, 40),))
    found = predictor.predict(image, adapter.card.geometry, prompts).probabilities
    before = np.array(expected(version_before, "probabilities"))
    np.testing.assert_allclose(found[8::16, 8::16], before, atol=2e-3)
    predictor.set_adapter(None)
    without = predictor.predict(image, adapter.card.geometry, prompts).probabilities
    assert np.abs(without[8::16, 8::16] - before).max() > 0.02


def test_best_adapter_of_the_run_replaces_the_installed_one(version_before: Path):
    assert install_best(version_before / "run").card == find_adapter("run").card


def test_damaged_adapter_file_is_refused(version_before: Path):
    flip_byte(version_before / "run.zip", at=0.5)
    with pytest.raises(AdapterError, match="corrupt"):
        import_adapter(version_before / "run.zip", name="again")


def test_card_without_a_field_is_refused(version_before: Path):
    card = version_before / "adapters" / "run" / "sam2lora.json"
    change_json(card, lambda content: content["base"].pop("identity"))
    with pytest.raises(AdapterError, match="identity"):
        find_adapter("run")


def test_corrections_are_read_back(version_before: Path):
    corrections = Corrections(version_before / "images")
    assert corrections.folder.is_dir()
    assert corrections.done() == {"eye0"}
    rows, columns = np.indices((96, 96))
    masks = corrections.masks("eye0", (96, 96))
    assert masks.keys() == {"disc", "drusen"}
    np.testing.assert_array_equal(masks["disc"], np.hypot(rows - 40, columns - 50) < 12)
    np.testing.assert_array_equal(masks["drusen"], rows < 30)
    assert corrections.masks("eye1", (96, 96)).keys() == {"vessel"}
    assert not corrections.has("eye2", "vessel")


def test_corrections_are_a_dataset_and_can_be_continued(version_before: Path):
    corrections = Corrections(version_before / "images")
    eyes = {record.stem: record for record in read_dataset(corrections.folder).records}
    assert {stem: set(eye.masks) for stem, eye in eyes.items()} == {
        "eye0": {"disc", "drusen"},
        "eye1": {"vessel"},
    }
    assert eyes["eye1"].read_mask("vessel").sum() == 96
    corrections.set_done("eye1", True)
    assert corrections.done() == {"eye0", "eye1"}


def test_corrections_without_a_field_are_refused(version_before: Path):
    corrections = Corrections(version_before / "images")
    change_json(corrections.folder / "corrections.json", lambda content: content.pop("source"))
    with pytest.raises(DatasetError, match="cannot be read"):
        corrections.done()


def test_report_is_read_with_all_its_numbers(version_before: Path):
    report = read_report(version_before / "report")
    assert (report.target.name, report.settings.regimes) == ("disc", ("none", "1p"))
    (model,) = report.models
    assert model.adapter is not None
    assert model.adapter.lora.rank == 1
    table = (version_before / "report" / "per_image.csv").read_text(encoding="utf-8")
    assert report.to_csv() == table
    dice = [float(row["dice"]) for row in csv.DictReader(table.splitlines())]
    assert len(dice) == 6
    assert min(dice) > 0
    cell = report.cell("run", "data", "1p")
    assert cell is not None
    by_hand = np.mean([entry.scores["dice"] for entry in report.scored("run", "data", "1p")])
    assert cell.per_image["dice"].mean == pytest.approx(by_hand)


def test_report_is_written_again_as_it_was(version_before: Path):
    folder = version_before / "report"
    before = json.loads((folder / "report.json").read_bytes())
    assert without_new(json.loads(read_report(folder).to_json()), before) == before


def without_new(content: Any, before: Any) -> Any:
    """Return what is written now without the fields that there were none of."""
    if isinstance(content, dict) and isinstance(before, dict):
        return {
            name: without_new(value, before[name])
            for name, value in content.items()
            if name in before
        }
    if isinstance(content, list) and isinstance(before, list):
        return [without_new(*pair) for pair in zip(content, before, strict=True)]
    return content


def test_report_compared_with_itself_shows_no_difference(version_before: Path):
    side = Side(version_before / "report")
    comparison, pairs = make_comparison(side, side, command="compare")
    assert len(pairs) == 6
    assert {entry.difference for entry in comparison.pairs} == {0}
    assert not comparison.unpaired


def test_report_without_a_field_is_refused(version_before: Path):
    path = version_before / "report" / "report.json"
    change_json(path, lambda content: content["images"][0].pop("image"))
    with pytest.raises(ReportError, match=r"images\.0\.image"):
        read_report(version_before / "report")


def test_own_target_is_known(version_before: Path):
    drusen = Target(name="drusen", label=4, color="#4363d8", detail="tiles", threshold=0.4)
    assert all_targets()["drusen"] == drusen
    assert adopt_target(find_adapter("run")) is None
