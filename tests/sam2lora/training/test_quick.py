"""Quick adapt: improve an adapter without computing any feature twice."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sam2lora.adapters import Adapter, open_adapter
from sam2lora.adapters.folder import read_shapes
from sam2lora.adapters.peft_format import network_part
from sam2lora.adapters.serialization import read_tensors, shapes_of
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.runs import Event, RunFolder, StepEvent, ValidationEvent, best_adapter
from sam2lora.training.data_split import plan_data
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import make_trainable
from sam2lora.training.validation import read_validation_images

from .helpers import Make, RunThrough

pytestmark = pytest.mark.usefixtures("pocket")

IMAGES = 6
VALIDATIONS = 2  # at the start and at the end, of one image in one window


@pytest.fixture
def start(make: Make, run_through: RunThrough) -> tuple[Adapter, list[Event]]:
    """Return an adapter after one training step, and the events of that run."""
    run, events = run_through(make(steps=1, optimizer={"learning_rate": 1e-2}), "start")
    return open_adapter(run.adapter(1)), events


@pytest.fixture
def settings(make: Make, start: tuple[Adapter, list[Event]]) -> TrainSettings:
    return make(
        "quick",
        **{"freeze_encoder": True, "start_from": str(start[0].folder), "lora": {}},
        **{"steps": 14, "variants": 1, "optimizer": {"learning_rate": 1e-2, "warmup": 0}},
    )


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each call of the encoder appends its number of images."""
    encode, sizes = Sam2ImageModel.encode, []

    def counted(self: Sam2ImageModel, images: torch.Tensor) -> Any:
        sizes.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(Sam2ImageModel, "encode", counted)
    return sizes


def tensors(adapter: Adapter) -> dict[str, torch.Tensor]:
    return read_tensors(adapter, read_shapes(adapter.weights))


def test_no_window_is_encoded_twice(
    settings: TrainSettings, run_through: RunThrough, encoded: list[int]
) -> None:
    run_through(settings)
    assert sum(encoded) == IMAGES + VALIDATIONS
    encoded.clear()
    run_through(settings.model_copy(update={"variants": 2}), "two variants")
    assert sum(encoded) == 2 * IMAGES + VALIDATIONS


def test_only_the_decoder_changes_and_the_adapter_is_complete(
    settings: TrainSettings,
    start: tuple[Adapter, list[Event]],
    run_through: RunThrough,
    pocket: Callable[[], LoadedModel],
) -> None:
    run, _ = run_through(settings)
    before, after = tensors(start[0]), tensors(open_adapter(run.adapter(14)))
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == (network_part(name) == "encoder"), name
    predictor = Predictor(pocket(), device="cpu", precision="float32")
    (image,) = read_validation_images(plan_data(settings).validation)
    prepared: PreparedImage = image.prepared
    predictor.set_adapter(start[0])
    first = predictor.predict(prepared, settings.geometry_for("disc"))
    predictor.set_adapter(open_adapter(run.adapter(14)))
    second = predictor.predict(prepared, settings.geometry_for("disc"))
    assert abs(first.probabilities - second.probabilities).max() > 1e-3


def test_card_names_the_initial_adapter(
    settings: TrainSettings, start: tuple[Adapter, list[Event]], run_through: RunThrough
) -> None:
    run, _ = run_through(settings)
    card = open_adapter(run.adapter(14)).card
    assert card.started_from is not None
    assert card.started_from.digest == start[0].digest()
    assert card.lora.rank == 4
    assert card.training["freeze_encoder"] is True


def test_best_adapter_must_improve_on_the_initial_one(
    settings: TrainSettings, start: tuple[Adapter, list[Event]], run_through: RunThrough
) -> None:
    # With no effective update, nothing can improve.
    no_update = settings.optimizer.model_copy(update={"learning_rate": 1e-12})
    run, events = run_through(settings.model_copy(update={"optimizer": no_update}))
    first, last = (event for event in events if isinstance(event, ValidationEvent))
    (of_start,) = (event for event in start[1] if isinstance(event, ValidationEvent))
    assert first.step == 0
    assert first.mean == pytest.approx(of_start.mean)
    assert first.dice == pytest.approx(of_start.dice)
    assert (last.best, last.best_step) == (first.mean, 0)
    best = best_adapter(run.path)
    assert best is not None
    assert best.step == 0
    for name, tensor in tensors(start[0]).items():
        assert torch.equal(tensors(open_adapter(best.folder))[name], tensor)


def test_quick_adapt_lowers_the_loss(settings: TrainSettings, run_through: RunThrough) -> None:
    _, events = run_through(settings.model_copy(update={"steps": 18}))
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert sum(losses[-IMAGES:]) < sum(losses[:IMAGES])


def test_features_go_to_disk_if_memory_is_short_and_are_deleted(
    settings: TrainSettings,
    run_through: RunThrough,
    begin: Callable[..., RunFolder],
    encoded: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, in_memory = run_through(settings, "in memory")
    encoded.clear()
    memory = type("Memory", (), {"available": 0})
    monkeypatch.setattr("sam2lora.training.loop.psutil.virtual_memory", memory)
    run = begin(settings, "on disk")
    largest, on_disk = 0, []
    for event in train(run):
        on_disk.append(event)
        largest = max(largest, len(list(run.path.rglob("features/**/*.safetensors"))))
    assert largest == IMAGES
    assert sum(encoded) == IMAGES + VALIDATIONS
    first, second = (
        [event.loss for event in events if isinstance(event, StepEvent)]
        for events in (in_memory, on_disk)
    )
    assert second == first
    assert not list(run.path.rglob("features"))


def test_cached_features_are_not_reused_for_changed_images(
    settings: TrainSettings,
    begin: Callable[..., RunFolder],
    write_eyes: Callable[..., Any],
    encoded: list[int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    monkeypatch.setattr(
        "sam2lora.training.loop.psutil.virtual_memory", type("Memory", (), {"available": 0})
    )
    root = write_eyes(tmp_path / "eyes")
    source = settings.data[0].model_copy(update={"root": str(root)})
    run = begin(settings.model_copy(update={"data": (source,)}))
    first = train(run)
    while next(first).step < 7:
        pass
    first.close()  # type: ignore[attr-defined]
    encoded.clear()
    write_eyes(tmp_path / "others", first=50)
    for old, new in zip(
        sorted((root / "images").iterdir()),
        sorted((tmp_path / "others" / "images").iterdir()),
        strict=True,
    ):
        old.write_bytes(new.read_bytes())
    list(train(run))
    assert sum(encoded) == IMAGES + VALIDATIONS


def test_everything_features_depend_on_stays_frozen(
    settings: TrainSettings, start: tuple[Adapter, list[Event]]
) -> None:
    trainable = make_trainable(settings, start=start[0])
    trained = {name for name, weight in trainable.model.named_parameters() if weight.requires_grad}
    assert trained
    assert all(name.startswith("network.sam_mask_decoder.") for name in trained)
    assert shapes_of(trainable.tensors()) == read_shapes(start[0].weights)
