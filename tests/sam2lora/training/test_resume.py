"""An interrupted training resumes as if it had not been interrupted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sam2lora.adapters import open_adapter
from sam2lora.adapters.peft_format import network_part
from sam2lora.errors import ModelError, OutputError, TrainingError
from sam2lora.runs import (
    Event,
    ResumedEvent,
    RunFolder,
    StepEvent,
    StoppedEvent,
    ValidationEvent,
    best_adapter,
    read_events,
    summarize,
)
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings
from sam2lora.training.validation import Validation

from .helpers import Begin, Make, RunThrough

pytestmark = pytest.mark.usefixtures("pocket")

LONG: dict[str, Any] = {
    "steps": 6,
    "batch": 2,
    "checkpoint_every": 3,
    "validation": {"every": 2, "images": 1},
    "lora": {"rank": 4, "dropout": 0.3},
    "optimizer": {"learning_rate": 1e-2, "warmup": 3},
}


def curve(events: list[Event]) -> dict[int, tuple]:
    """Return loss, terms and learning rate by step; every step must appear only once."""
    steps = [event for event in events if isinstance(event, StepEvent)]
    found = {event.step: (event.loss, event.terms, event.lr) for event in steps}
    assert len(found) == len(steps)
    return found


def validations(events: list[Event]) -> dict[int, tuple]:
    return {
        event.step: (event.mean, event.loss, event.best, event.best_step)
        for event in events
        if isinstance(event, ValidationEvent)
    }


def tensors(run: RunFolder) -> dict[str, Tensor]:
    """Return all trained tensors and the state of AdamW."""
    content = run.load_checkpoint()
    moments = {
        f"{number} {name}": value
        for number, of_weight in content["optimizer"]["state"].items()
        for name, value in of_weight.items()
    }
    return content["tensors"] | moments


def assert_same(whole: RunFolder, resumed: RunFolder) -> None:
    first, second = (read_events(run.events)[0] for run in (whole, resumed))
    assert curve(second) == curve(first)
    assert validations(second) == validations(first)
    expected, found = tensors(whole), tensors(resumed)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    best = [best_adapter(run.path) for run in (whole, resumed)]
    assert best[0] is not None
    assert best[1] is not None
    weights = [(adapter.folder / "adapter_model.safetensors").read_bytes() for adapter in best]
    assert weights[0] == weights[1]
    assert (best[0].step, best[0].dice) == (best[1].step, best[1].dice)


def end_at(events: Iterator[Event], kind: str, step: int) -> None:
    """Stop the training right after an event, before it writes anything else."""
    for event in events:
        if (event.kind, event.step) == (kind, step):
            events.close()  # type: ignore[attr-defined]
            return
    raise AssertionError(f"there was no {kind} at {step}")


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("started", 0),
        ("step", 2),
        ("validation", 2),
        ("checkpoint", 3),
        ("step", 4),
        ("preview", 4),
        ("step", 6),
        ("validation", 6),
        ("checkpoint", 6),
    ],
)
def test_interrupted_run_resumes_exactly(
    make: Make, begin: Begin, run_through: RunThrough, kind: str, step: int
) -> None:
    whole, _ = run_through(make(**LONG), "whole")
    cut = begin(make(**LONG), "cut")
    end_at(train(cut), kind, step)
    assert summarize(cut.path).state == "interrupted"
    (resumed, *_) = list(train(cut))
    assert isinstance(resumed, ResumedEvent)
    assert resumed.step == (0 if step < 3 else 3 if (kind, step) != ("checkpoint", 6) else 6)
    assert_same(whole, cut)


def test_dropout_and_seed_affect_the_loss_curve(make: Make, run_through: RunThrough) -> None:
    whole = curve(run_through(make(**LONG), "whole")[1])
    without = LONG | {"lora": {"rank": 4, "dropout": 0}}
    other_seed = LONG | {"seed": 1}
    for name, settings in (("without dropout", without), ("other seed", other_seed)):
        other = curve(run_through(make(**settings), name)[1])
        assert all(whole[step] != other[step] for step in range(2, 7))


def test_run_interrupted_repeatedly_resumes_exactly(
    make: Make, begin: Begin, run_through: RunThrough
) -> None:
    settings = make(**LONG | {"checkpoint_every": 1})
    whole, _ = run_through(settings, "whole")
    cut = begin(settings, "cut")
    for step in range(1, 6):
        end_at(train(cut), "step", step)
        end_at(train(cut), "checkpoint", step)
    list(train(cut))
    assert_same(whole, cut)


def test_stopped_run_keeps_its_step_and_resumes_exactly(
    make: Make, begin: Begin, run_through: RunThrough
) -> None:
    whole, _ = run_through(make(**LONG), "whole")
    cut = begin(make(**LONG), "cut")
    seen = []
    for event in train(cut):
        seen.append(event)
        if isinstance(event, StepEvent) and event.step == 4:
            cut.control.request("stop")
    assert [event.kind for event in seen[-2:]] == ["checkpoint", "stopped"]
    assert isinstance(seen[-1], StoppedEvent)
    assert max(curve(seen)) == 4
    assert summarize(cut.path).state == "stopped"
    assert not cut.control.requested
    first, *_ = list(train(cut))
    assert (first.kind, first.step) == ("resumed", 4)
    assert_same(whole, cut)


def test_worker_processes_do_not_change_a_resumed_run(
    make: Make, begin: Begin, run_through: RunThrough
) -> None:
    whole, _ = run_through(make(**LONG), "whole")
    cut = begin(make(**LONG, workers=1), "cut")
    end_at(train(cut), "step", 4)
    list(train(cut))
    assert_same(whole, cut)


def test_early_stopping_continues_counting_after_resume(
    make: Make, begin: Begin, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = Validation(
        dice=0.5, threshold=0.5, loss=0.7, per_image={"eyes/a": 0.5}, iou_offset=0.08
    )
    monkeypatch.setattr("sam2lora.training.loop.validate", lambda *_, **__: constant)
    validation = {"every": 2, "images": 1, "patience": 3}
    settings = make(**LONG | {"validation": validation, "steps": 40})
    whole, events = run_through(settings, "whole")
    # The best at step 2, then three validations without improvement.
    assert (events[-1].kind, events[-1].step) == ("finished", 8)
    assert "No improvement in 3 validations" in events[-1].words
    cut = begin(settings, "cut")
    end_at(train(cut), "checkpoint", 6)
    list(train(cut))
    assert_same(whole, cut)
    last = begin(settings, "last")
    end_at(train(last), "checkpoint", 8)
    assert [event.kind for event in train(last)] == ["resumed", "finished"]


def test_finished_run_does_nothing(make: Make, run_through: RunThrough) -> None:
    run, _ = run_through(make())
    before = {file: file.stat().st_mtime_ns for file in run.path.rglob("*.*")}
    assert list(train(run)) == []
    assert {file: file.stat().st_mtime_ns for file in run.path.rglob("*.*")} == before


def test_second_process_is_refused_and_does_not_touch_the_run(make: Make, begin: Begin) -> None:
    run = begin(make())
    first = train(run)
    next(first)
    before = run.events.read_bytes()
    with pytest.raises(OutputError, match=r"is already being trained by process \d+"):
        list(train(RunFolder.open(run.path)))
    assert run.events.read_bytes() == before
    assert [event.kind for event in first][-1] == "finished"


def test_checkpoint_of_another_base_is_refused(make: Make, begin: Begin) -> None:
    run = begin(make(checkpoint_every=1))
    end_at(train(run), "checkpoint", 1)
    content = run.load_checkpoint()
    run.save_checkpoint(content | {"identity": "0" * 64})
    with pytest.raises(TrainingError, match=r"another base model.*Restore the old weights"):
        list(train(run))
    run.save_checkpoint(content)
    assert list(train(run))[-1].kind == "finished"


def scale_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable loss scaling on the CPU, as on a GPU in float16."""
    scaler = torch.amp.GradScaler
    monkeypatch.setattr("torch.amp.GradScaler", lambda device, enabled: scaler(device))


def test_run_moves_between_computers_with_and_without_loss_scaling(
    make: Make, begin: Begin, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make(**LONG | {"checkpoint_every": 1})
    whole = curve(run_through(settings, "whole")[1])
    run = begin(settings, "moved")
    end_at(train(run), "checkpoint", 2)
    with monkeypatch.context() as patch:
        scale_losses(patch)
        end_at(train(run), "checkpoint", 4)
        assert run.load_checkpoint()["scaler"]
    list(train(run))
    found = curve(read_events(run.events)[0])
    assert found.keys() == whole.keys()
    for step, (loss, *_) in found.items():
        assert loss == pytest.approx(whole[step][0], rel=1e-3)


def test_damaged_checkpoint_is_named(make: Make, begin: Begin) -> None:
    run = begin(make(checkpoint_every=1))
    end_at(train(run), "checkpoint", 1)
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"checkpoint\.pt.*truncated"):
        list(train(run))
    assert read_events(run.events)[0][-1].kind == "failed"


def test_changed_images_cause_a_warning(
    make: Make, begin: Begin, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_eyes(tmp_path / "eyes")
    run = begin(make(data=[{"root": str(root)}], checkpoint_every=1))
    end_at(train(run), "checkpoint", 1)
    assert not [event for event in _train_until(run, 2) if event.kind == "warning"]
    for file in (root / "images").iterdir():
        file.write_bytes(file.read_bytes() + b"\0")
    warnings = [event.words for event in _train_until(run, 3) if event.kind == "warning"]
    assert warnings == ["The images or masks have changed since this training began."]


def _train_until(run: RunFolder, step: int) -> list[Event]:
    events = []
    for event in (running := train(run)):
        events.append(event)
        if (event.kind, event.step) == ("checkpoint", step):
            running.close()  # type: ignore[attr-defined]
    return events


def quick(make: Make, run_through: RunThrough, **changes: Any) -> TrainSettings:
    start, _ = run_through(make(steps=1), "start")
    return make(
        "quick",
        **LONG | {"lora": {"dropout": 0.3}},
        freeze_encoder=True,
        variants=1,
        start_from=str(start.adapter(1)),
        **changes,
    )


@pytest.mark.parametrize("available", [1 << 40, 0], ids=["in memory", "computed again"])
@pytest.mark.parametrize("preset", ["standard", "detail"])
def test_a_detail_head_resumes_exactly(
    make: Make,
    begin: Begin,
    run_through: RunThrough,
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    available: int,
) -> None:
    prompts = {"none": 1, "points": 1}
    settings = make(preset, **LONG, detail_head={}, variants=1, prompts=prompts)
    whole, _ = run_through(settings, "whole")
    assert any("running_mean" in name for name in tensors(whole))
    memory = type("Memory", (), {"available": available})
    monkeypatch.setattr("sam2lora.training.loop.psutil.virtual_memory", memory)
    cut = begin(settings, "cut")
    end_at(train(cut), "step", 4)
    list(train(cut))
    assert_same(whole, cut)
    heads = [run.adapter(6) / "detail_head.safetensors" for run in (whole, cut)]
    assert heads[0].read_bytes() == heads[1].read_bytes()


@pytest.mark.parametrize("available", [1 << 40, 0], ids=["in memory", "on disk"])
@pytest.mark.parametrize(("kind", "step"), [("step", 2), ("step", 5)])
def test_quick_adapt_resumes_exactly(
    make: Make,
    begin: Begin,
    run_through: RunThrough,
    monkeypatch: pytest.MonkeyPatch,
    available: int,
    kind: str,
    step: int,
) -> None:
    settings = quick(make, run_through)
    whole, _ = run_through(settings, "whole")
    memory = type("Memory", (), {"available": available})
    monkeypatch.setattr("sam2lora.training.loop.psutil.virtual_memory", memory)
    cut = begin(settings, "cut")
    end_at(train(cut), kind, step)
    list(train(cut))
    assert_same(whole, cut)
    assert {network_part(name) for name in cut.load_checkpoint()["tensors"]} == {
        "encoder",
        "decoder",
    }


def test_quick_adapt_resumes_after_initial_adapter_is_deleted(
    make: Make, begin: Begin, run_through: RunThrough, tmp_path: Path
) -> None:
    settings = quick(make, run_through)
    whole, _ = run_through(settings, "whole")
    cut = begin(settings, "cut")
    end_at(train(cut), "step", 4)
    (tmp_path / "start").rename(tmp_path / "gone")
    list(train(cut))
    assert_same(whole, cut)


def test_cards_hold_the_dice_of_the_initial_adapter(
    make: Make, begin: Begin, run_through: RunThrough
) -> None:
    cut = begin(quick(make, run_through), "cut")
    end_at(train(cut), "step", 4)
    list(train(cut))
    first = validations(read_events(cut.events)[0])[0][0]
    assert first is not None
    for step in (4, 6):  # the last is written after resuming
        card = open_adapter(cut.adapter(step)).card
        assert card.validation["start_dice"] == first
        assert card.validation["images"] == 1


def test_base_training_resumes_exactly(make: Make, begin: Begin, run_through: RunThrough) -> None:
    settings = make(**LONG | {"steps": 4, "lora": {}}, train="base")
    whole, cut = run_through(settings, "whole")[0], begin(settings, "cut")
    end_at(train(cut), "step", 4)
    list(train(cut))
    assert curve(read_events(whole.events)[0]) == curve(read_events(cut.events)[0])
    expected, found = tensors(whole), tensors(cut)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    first, second = (load_file(run.adapter(4) / "nano.safetensors") for run in (whole, cut))
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_initial_adapter_is_validated_only_once(
    make: Make, begin: Begin, run_through: RunThrough
) -> None:
    start, _ = run_through(make(steps=1), "start")
    again = {"start_from": str(start.adapter(1)), "lora": {}}
    run = begin(make(**again, steps=1, validation={"images": 1, "patience": 1}), "next")
    for event in train(run):
        if event.kind == "validation":
            run.control.request("stop")
    assert run.load_checkpoint()["step"] == 0
    events = list(train(run))
    assert [event.step for event in events if isinstance(event, ValidationEvent)] == [1]
    assert [event.kind for event in events].count("step") == 1  # patience is not exhausted
