"""A training from its first event to its last: what it writes, and how it fails."""

import errno
import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import torch
from PIL import Image

from sam2lora.errors import DatasetError, DeviceError, OutputError, SettingsError, TrainingError
from sam2lora.losses.composite import LossTerms, composite_loss
from sam2lora.runs import (
    Event,
    FailedEvent,
    FinishedEvent,
    StartedEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
    best_adapter,
    list_adapters_of_run,
    read_events,
    summarize,
)
from sam2lora.training.loop import train
from sam2lora.training.lr_schedule import learning_rate
from sam2lora.training.prompted_model import PromptedNetwork
from sam2lora.training.validation import Validation

from .helpers import Begin, Make, RunThrough

pytestmark = pytest.mark.usefixtures("pocket")

LOSS = "sam2lora.training.correction_rounds.composite_loss"


def of_kind(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in of_kind(events, StepEvent)]


def test_train_starts_from_path_and_settings_and_resumes_from_the_path(
    make: Make, eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(eyes.parent)  # relative data paths are resolved here, not in the run folder
    settings = make(steps=2, data=[{"root": eyes.name}], validation={"images": 1})
    events = train(tmp_path / "run", settings)
    assert next(events).kind == "started"
    events.close()
    assert [event.kind for event in train(str(tmp_path / "run"))][::6] == ["resumed", "finished"]
    assert list(train(tmp_path / "run", settings)) == []
    assert best_adapter(tmp_path / "run")
    with pytest.raises(SettingsError, match="other settings started here"):
        next(train(tmp_path / "run", make(steps=3)))
    with pytest.raises(SettingsError, match="does not exist"):
        next(train(tmp_path / "none"))


def test_events_cover_the_whole_run(make: Make, run_through: RunThrough, eyes: Path) -> None:
    settings = make(steps=4, validation={"every": 2, "images": 1}, checkpoint_every=3)
    run, events = run_through(settings)
    assert [(event.kind, event.step) for event in events] == [
        ("started", 0),
        ("step", 1),
        ("step", 2),
        ("validation", 2),
        ("preview", 2),
        ("step", 3),
        ("checkpoint", 3),
        ("step", 4),
        ("validation", 4),
        ("preview", 4),
        ("checkpoint", 4),
        ("finished", 4),
    ]
    assert read_events(run.events) == (events, 0)
    started, *_ = of_kind(events, StartedEvent)
    assert (started.target, started.base, started.steps) == ("disc", "nano", 4)
    assert (started.samples, started.validation) == ({"eyes disc": 6}, 1)
    assert (started.trainable, started.processes) == (4 * 9248, 1)
    assert started.share == pytest.approx(1.16, abs=0.01)
    for number, step in enumerate(of_kind(events, StepEvent)):
        assert set(step.terms) == {"bce", "soft_dice", "focal_tversky", "iou"}
        assert step.lr == learning_rate(number, 4, settings.optimizer)
        assert step.seconds > 0
        assert step.host_bytes > 1 << 20
        assert step.device_bytes is None
        assert step.eta_s == pytest.approx((3 - number) * step.seconds, rel=3, abs=0.01)
    assert of_kind(events, StepEvent)[-1].eta_s == 0
    assert summarize(run.path).state == "finished"


def test_run_folder_holds_settings_manifest_previews_and_adapters(
    make: Make, run_through: RunThrough, eyes: Path
) -> None:
    settings = make(steps=6, validation={"every": 1, "images": 2})
    run, events = run_through(settings)
    assert json.loads(run.settings.read_bytes()) == settings.model_dump(mode="json")
    manifest = json.loads((run.data / "manifest.json").read_bytes())
    assert len(manifest) == 2 * 8
    first = manifest[0]
    assert first["sha256"] == hashlib.sha256(Path(first["path"]).read_bytes()).hexdigest()
    for event in of_kind(events, ValidationEvent):
        assert len(event.dice) == 2
        picture = Image.open(run.previews / f"{event.step:06d}.png")
        assert picture.size == (128, 128)
    best = best_adapter(run.path)
    assert best is not None
    assert best.dice == max(event.mean for event in of_kind(events, ValidationEvent))
    kept = {adapter.step for adapter in list_adapters_of_run(run.path)}
    assert kept == {best.step, 5, 6}
    assert run.load_checkpoint()["step"] == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"path": "a.png", "sh', "is truncated or not JSON"),
        (b"", "is truncated or not JSON"),
        (b"[" * 100_000, "is nested deeper than 100 levels"),
        (b"{}", "lists no files"),
        (b'[{"path": 1}]', "lists no files"),
        (b"[1]", "lists no files"),
        (b"null", "lists no files"),
    ],
)
def test_damaged_manifest_is_named_and_may_be_deleted(
    make: Make, begin: Begin, content: bytes, message: str
) -> None:
    run = begin(make(steps=1))
    list(train(run))
    run.events.unlink()
    manifest = run.data / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(content)
    with pytest.raises(TrainingError, match=rf"manifest\.json: {message}.* Delete it to resume"):
        list(train(run))
    manifest.unlink()
    list(train(run))
    assert manifest.read_bytes() == whole


def test_full_disk_at_a_checkpoint_is_told_and_the_run_resumes(
    make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(make(steps=2, checkpoint_every=1))
    opened = Path.open

    def full(self: Path, *modes: str, **options: Any) -> IO[Any]:
        if run.checkpoint.exists() and {*modes} & {"ab", "wb"}:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(self, *modes, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"No space left on device.*The training resumes from"):
        list(train(run))
    monkeypatch.setattr(Path, "open", opened)
    assert run.load_checkpoint()["step"] == 1
    assert list(train(run))[-1].kind == "finished"
    assert not list(run.path.rglob(".sam2lora-*"))


def test_manifest_is_synced_to_disk(
    make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("sam2lora.utils.files.sync_folder", synced.append)
    run = begin(make(steps=1))
    list(train(run))
    assert run.data in synced


def test_best_adapter_exists_from_the_first_validation(make: Make, begin: Begin) -> None:
    run = begin(make(validation={"every": 1, "images": 1}))
    for event in train(run):
        if event.kind == "validation":
            best = best_adapter(run.path)
            assert best is not None
            assert (best.folder / "adapter_model.safetensors").is_file()
            break
    else:
        raise AssertionError("there was no validation")


def test_validation_with_dice_zero_still_sets_the_best(
    make: Make, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Validation(dice=0.0, threshold=0.5, loss=0.7, per_image={"eyes/a": 0.0})
    monkeypatch.setattr("sam2lora.training.loop.validate", lambda *_, **__: nothing)
    run, _ = run_through(make(steps=2, validation={"every": 1}))
    best = best_adapter(run.path)
    assert best is not None
    assert (best.step, best.dice) == (1, 0.0)


def fail_above(monkeypatch: pytest.MonkeyPatch, limit: int) -> list[int]:
    """Simulate running out of memory with more than `limit` samples at once."""
    forward, sizes = PromptedNetwork.forward, []

    def limited(self: PromptedNetwork, images: Any, prompts: Any, corrections: Any) -> Any:
        sizes.append(len(prompts))
        if len(prompts) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return forward(self, images, prompts, corrections)

    monkeypatch.setattr(PromptedNetwork, "forward", limited)
    return sizes


def test_out_of_memory_continues_in_smaller_batches_with_same_samples(
    make: Make, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make(batch=4, lora={"rank": 4, "dropout": 0}, steps=2)
    _, undisturbed = run_through(settings, "undisturbed")
    sizes = fail_above(monkeypatch, 2)
    _, events = run_through(settings, "short of memory")
    assert sizes == [4, 2, 2, 2, 2]
    (warning,) = of_kind(events, WarningEvent)
    assert warning.step == 0
    assert "more memory than this computer" in warning.words
    assert "batches of 2" in warning.words
    assert "--batch" in warning.words
    assert losses(events) == pytest.approx(losses(undisturbed), rel=1e-4)
    assert events[-1].kind == "finished"


def test_resumed_run_keeps_the_smaller_batch(
    make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(make(batch=4, steps=2, checkpoint_every=1))
    sizes = fail_above(monkeypatch, 2)
    first = train(run)
    while next(first).kind != "checkpoint":
        pass
    first.close()  # type: ignore[attr-defined]
    sizes.clear()
    events = list(train(run))
    assert sizes == [2, 2]
    assert not of_kind(events, WarningEvent)


@pytest.mark.parametrize(
    ("batch", "tried", "advice"),
    [(4, [4, 2], "a smaller batch"), (1, [1], "--preset low-memory")],
)
def test_repeated_out_of_memory_fails_with_advice(
    make: Make,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    tried: list[int],
    advice: str,
) -> None:
    run = begin(make(batch=batch))
    sizes = fail_above(monkeypatch, 0)
    with pytest.raises(DeviceError, match=advice):
        list(train(run))
    assert sizes == tried
    failed = read_events(run.events)[0][-1]
    assert isinstance(failed, FailedEvent)
    assert (failed.reason, failed.step) == ("DeviceError", 0)
    assert advice in failed.words
    assert summarize(run.path).state == "failed"


def test_nan_loss_stops_with_the_last_good_state(
    make: Make, begin: Begin, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make(steps=5, checkpoint_every=2, validation={"every": 2, "images": 1})
    whole, expected = run_through(settings, "whole")
    run, calls = begin(settings, "spoilt"), []

    def fourth_is_nan(*arguments: Any, **named: Any) -> LossTerms:
        calls.append(1)
        found = composite_loss(*arguments, **named)
        factor = float("nan") if len(calls) == 4 else 1.0
        return LossTerms(found.total * factor, found.terms)

    monkeypatch.setattr(LOSS, fourth_is_nan)
    with pytest.raises(TrainingError, match=r"loss is nan.*Lower the learning rate"):
        list(train(run))
    events = read_events(run.events)[0]
    assert isinstance(events[-1], FailedEvent)
    assert (events[-1].step, len(losses(events))) == (3, 3)
    assert run.load_checkpoint()["step"] == 2
    assert [adapter.step for adapter in list_adapters_of_run(run.path)] == [2]
    list(train(run))  # the loss is finite again
    assert losses(read_events(run.events)[0]) == losses(expected)
    spoilt, clean = (folder.load_checkpoint()["tensors"] for folder in (run, whole))
    assert all(torch.equal(spoilt[name], tensor) for name, tensor in clean.items())


def test_unexpected_error_is_written_as_failed_event(
    make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(make())

    def broken(*_: Any, **__: Any) -> LossTerms:
        raise ZeroDivisionError("unexpected")

    monkeypatch.setattr(LOSS, broken)
    with pytest.raises(ZeroDivisionError):
        list(train(run))
    failed = read_events(run.events)[0][-1]
    assert isinstance(failed, FailedEvent)
    assert (failed.reason, failed.words) == ("ZeroDivisionError", "unexpected")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"target": "cup"}, DatasetError, "no image has a mask of cup"),
        ({"freeze_encoder": True}, SettingsError, "--start-from"),
        ({"model": "nana"}, Exception, "nana"),
    ],
)
def test_invalid_training_fails_with_reason_and_no_checkpoint(
    make: Make, begin: Begin, changes: dict, error: type[Exception], message: str, monkeypatch: Any
) -> None:
    if "model" in changes:
        monkeypatch.undo()
    run = begin(make(**changes))
    with pytest.raises(error, match=message):
        list(train(run))
    (failed,) = read_events(run.events)[0]
    assert isinstance(failed, FailedEvent)
    assert message in failed.words
    assert not run.checkpoint.exists()


def test_new_settings_after_immediate_failure_keep_nothing_of_the_first(
    make: Make, begin: Begin, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = [run_through(make(steps=1, seed=seed), f"start {seed}")[0] for seed in (1, 2)]
    paths = [str(start.adapter(1)) for start in starts]

    def broken(*_: Any, **__: Any) -> LossTerms:
        raise ZeroDivisionError("once")

    with monkeypatch.context() as patch:
        patch.setattr(LOSS, broken)
        run = begin(make(start_from=paths[0], lora={}, steps=1))
        with pytest.raises(ZeroDivisionError):
            list(train(run))
    run = begin(make(start_from=paths[1], lora={}, steps=2))
    list(train(run))
    _, expected = run_through(make(start_from=paths[1], lora={}, steps=2), "fresh")
    events = read_events(run.events)[0]
    assert losses(events) == losses(expected)
    (started,) = of_kind(events, StartedEvent)
    assert started.steps == 2
    assert not of_kind(events, WarningEvent)


def test_pause_lasts_as_long_as_its_file(
    make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sam2lora.training.loop._POLL", 0.01)
    run = begin(make(steps=3))
    kinds, paused = [], threading.Event()

    def end_pause() -> None:
        paused.wait(30)
        time.sleep(0.1)
        kinds.append("end of pause")
        run.control.clear("pause")

    other = threading.Thread(target=end_pause)
    other.start()
    for event in train(run):
        kinds.append(event.kind)
        if event.kind == "step" and event.step == 1:
            run.control.request("pause")
        if event.kind == "paused":
            assert event.step == 1
            paused.set()
    other.join()
    assert kinds[:5] == ["started", "step", "paused", "end of pause", "step"]
    assert kinds[-1] == "finished"


def test_stop_ends_a_pause(make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam2lora.training.loop._POLL", 0.01)
    run = begin(make(steps=3))
    kinds = []
    for event in train(run):
        kinds.append(event.kind)
        if event.kind == "step":
            run.control.request("pause")
        if event.kind == "paused":
            run.control.request("stop")
    assert kinds == ["started", "step", "paused", "checkpoint", "stopped"]


def test_requests_to_an_earlier_process_are_dropped(make: Make, begin: Begin) -> None:
    run = begin(make())
    run.control.request("stop")
    assert list(train(run))[-1].kind == "finished"


def test_features_are_cached_only_with_a_frozen_encoder(
    make: Make, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = SimpleNamespace(available=0)  # so little that features would go to the run folder
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    run = begin(make(steps=1))
    for _ in train(run):
        assert not (run.path / "features").exists()


@pytest.mark.parametrize("preset", ["low-memory", "paper"])
def test_presets_train(make: Make, run_through: RunThrough, preset: str) -> None:
    kept = {"low-memory": {"batch": 1, "accumulate": 4, "gradient_checkpointing": True}}
    changes = kept.get(preset, {"batch": 2, "accumulate": 4, "multimask_token": True})
    if preset == "paper":
        changes |= {"geometry": {"detail": "squash"}, "loss": {"reduction": "batch"}}
        changes |= {"precision": "float16", "optimizer": {"schedule": "restarts", "warmup": 0}}
    _, events = run_through(make(preset, **changes, steps=2))
    assert isinstance(events[-1], FinishedEvent)
    assert len(losses(events)) == 2


def test_saving_memory_changes_no_loss(make: Make, run_through: RunThrough) -> None:
    plain, recomputed = (
        run_through(make(gradient_checkpointing=saving, steps=3, batch=2), str(saving))[1]
        for saving in (False, True)
    )
    assert losses(recomputed) == pytest.approx(losses(plain), rel=1e-5)


def test_base_trains_on_several_datasets_and_targets(
    make: Make, run_through: RunThrough, eyes: Path, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    more = write_eyes(tmp_path / "more", patients=2, first=30)
    sources = [{"root": str(eyes)}, {"root": str(more)}]
    settings = make(
        **{"train": "base", "also": ["vessel"], "data": sources, "geometry": None},
        **{"steps": 2, "batch": 2, "validation": {"images": 2}},
    )
    _, events = run_through(settings)
    (started,) = of_kind(events, StartedEvent)
    assert started.samples == {
        **{"eyes disc": 6, "eyes vessel": 6},
        **{"more disc": 2, "more vessel": 2},
    }
    (validation,) = of_kind(events, ValidationEvent)
    assert {name.partition("/")[0] for name in validation.dice} == {"eyes", "more"}
    assert started.share == 100
