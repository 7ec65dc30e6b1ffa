"""The benchmarks: what they train, and that their exit code can be believed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sam2lora.runs import ValidationEvent
from sam2lora.training.settings import TrainSettings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exit_code(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> object:
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code


def test_learning_from_scratch_begins_with_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("learn_from_scratch")
    (tmp_path / "nano.safetensors").touch()
    begun: list[TrainSettings] = []

    def pretend(path: Path, settings: TrainSettings) -> list[ValidationEvent]:
        begun.append(settings)
        return [
            ValidationEvent(
                step=step,
                dice={},
                mean=0.7 + step * len(begun) / 10,
                loss=1 - step,
                best=None,
                best_step=None,
            )
            for step in (0, 1)
        ]

    monkeypatch.setattr(module, "run_and_show", pretend)
    monkeypatch.setattr(module, "best_adapter_folder", lambda path: tmp_path)
    assert exit_code(module, monkeypatch, tmp_path, tmp_path / "out") == 0
    base, adapter = begun
    assert (base.train, base.from_scratch) == ("base", True)
    assert (adapter.train, adapter.model) == ("adapter", str(tmp_path / "nano.safetensors"))
