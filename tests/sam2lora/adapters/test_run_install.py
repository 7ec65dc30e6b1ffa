"""Installing the best adapter of a training."""

import shutil
from pathlib import Path

import pytest

from sam2lora.adapters import (
    find_adapter,
    install_adapter,
    install_best,
    is_best_installed,
    list_adapters,
    run_install,
)
from sam2lora.errors import AdapterError
from sam2lora.runs import RunFolder, set_best


@pytest.fixture
def run(make_adapter, tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path / "runs/mine", '{"target": "vessel"}')
    for step, threshold in ((1, 0.4), (2, 0.6)):
        training = {"seed": 3, "step": step, "batch": 4 // step}
        adapter = make_adapter(f"step-{step}", threshold=threshold, training=training)
        shutil.copytree(adapter.folder, made.adapter(step))
    set_best(made.path, 1, 0.5)
    return made


def test_best_adapter_is_installed_and_replaced_by_a_better_one(run: RunFolder) -> None:
    assert install_best(run.path).name == "mine"
    assert find_adapter("mine").card.threshold == 0.4
    set_best(run.path, 2, 0.6)
    install_best(run.path)
    assert find_adapter("mine").card.threshold == 0.6


def test_only_the_current_best_counts_as_installed(run: RunFolder) -> None:
    assert not is_best_installed(run.path)
    install_best(run.path)
    assert is_best_installed(run.path)
    set_best(run.path, 2, 0.6)
    assert not is_best_installed(run.path)
    (run.adapters / "best.json").unlink()
    with pytest.raises(AdapterError, match="no adapter yet"):
        is_best_installed(run.path)


def test_adapter_of_another_training_is_never_replaced(run: RunFolder, make_adapter) -> None:
    install_adapter(make_adapter("mine", training={"seed": 7}))
    with pytest.raises(AdapterError, match="Another adapter is already called 'mine'"):
        install_best(run.path)
    assert find_adapter("mine").card.training == {"seed": 7}


def test_training_without_adapter_is_refused(run: RunFolder) -> None:
    (run.adapters / "best.json").unlink()
    with pytest.raises(AdapterError, match="no adapter yet"):
        install_best(run.path)
    assert [adapter.name for adapter in list_adapters() if not adapter.shipped] == []


def test_best_adapter_superseded_while_installing_is_retried(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = run_install.open_adapter_or_run

    def supersede(folder: Path):
        found = opened(folder)
        if found.folder.name == "1":
            set_best(folder, 2, 0.6)
            shutil.rmtree(found.folder)
        return found

    monkeypatch.setattr(run_install, "open_adapter_or_run", supersede)
    install_best(run.path)
    assert find_adapter("mine").card.threshold == 0.6
