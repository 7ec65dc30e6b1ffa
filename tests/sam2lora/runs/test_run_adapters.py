"""The best adapter of a run is known from the first validation on, and kept."""

from pathlib import Path

import pytest

from sam2lora.errors import AdapterError, OutputError, SettingsError
from sam2lora.runs import (
    RunAdapter,
    RunFolder,
    best_adapter,
    list_adapters_of_run,
    prune_adapters,
    set_best,
)


def write(run: RunFolder, *steps: int) -> None:
    for step in steps:
        run.adapter(step).mkdir()
        (run.adapter(step) / "adapter_model.safetensors").write_text(str(step))


def steps_of(run: RunFolder) -> list[int]:
    return [adapter.step for adapter in list_adapters_of_run(run.path)]


def test_adapters_are_listed_by_step_without_other_folders(run: RunFolder):
    write(run, 100, 20, 3)
    (run.adapters / ".40.partial").mkdir()
    (run.adapters / "notes").mkdir()
    (run.adapters / "50").touch()
    assert steps_of(run) == [3, 20, 100]
    assert list_adapters_of_run(run.path)[1] == RunAdapter(20, run.adapters / "20")


def test_a_run_without_adapters_has_no_best_one(run: RunFolder, tmp_path: Path):
    assert best_adapter(run.path) is None
    assert list_adapters_of_run(tmp_path / "no such run") == []
    assert best_adapter(tmp_path / "no such run") is None


def test_best_adapter_is_the_last_one_set(run: RunFolder):
    write(run, 10, 20)
    set_best(run.path, 10, 0.5)
    assert best_adapter(run.path) == RunAdapter(10, run.adapters / "10", 0.5)
    set_best(run.path, 20, None)  # no validation image had a pixel to find
    assert best_adapter(run.path) == RunAdapter(20, run.adapters / "20", None)
    assert (run.adapters / "best.json").read_text() == '{"step":20,"dice":null,"adapter":"20"}\n'


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"step":1,"dice":0.5}', '{"step":1,"dice":0.5,"adapter":"../../elsewhere"}'],
)
def test_damaged_best_json_is_named_and_stops_pruning(run: RunFolder, content: str):
    write(run, 1, 2, 3, 4)
    (run.adapters / "best.json").write_text(content)
    with pytest.raises(AdapterError, match=r"best\.json: .* Choose one of"):
        best_adapter(run.path)
    with pytest.raises(AdapterError):
        prune_adapters(run.path)
    assert steps_of(run) == [1, 2, 3, 4]


def test_missing_best_adapter_is_reported(run: RunFolder):
    set_best(run.path, 5, 0.5)
    with pytest.raises(AdapterError, match=r"best\.json: names 5, which no longer exists"):
        best_adapter(run.path)


def test_pruning_keeps_the_best_and_the_newest(run: RunFolder):
    write(run, 10, 20, 30, 40, 50)
    set_best(run.path, 20, 0.5)
    assert prune_adapters(run.path, newest=2) == [10, 30]
    assert steps_of(run) == [20, 40, 50]
    assert prune_adapters(run.path, newest=9) == []
    assert prune_adapters(run.path, newest=0) == [40, 50]
    names = sorted(path.name for path in run.adapters.iterdir())
    assert names == ["20", "best.json"]


def test_pruning_finishes_an_interrupted_one(run: RunFolder):
    write(run, 10)
    run.adapter(10).rename(run.adapters / ".10.pruned")
    prune_adapters(run.path)
    assert not list(run.adapters.iterdir())


def test_unreadable_or_unwritable_files_are_reported(run: RunFolder):
    run.adapters.rmdir()
    with pytest.raises(OutputError, match=r"best\.json: cannot be written"):
        set_best(run.path, 5, 0.5)
    run.adapters.touch()
    with pytest.raises(SettingsError, match="adapters: cannot be read"):
        list_adapters_of_run(run.path)
    with pytest.raises(AdapterError, match=r"best\.json: cannot be read"):
        best_adapter(run.path)
