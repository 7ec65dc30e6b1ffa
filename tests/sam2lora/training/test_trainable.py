"""What is trained and how it is saved: LoRA on a frozen base, or the base itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sam2lora.adapters import AdapterReference, open_adapter
from sam2lora.adapters.folder import read_shapes
from sam2lora.adapters.peft_format import network_part
from sam2lora.errors import AdapterError, ModelError, SettingsError
from sam2lora.inference.predictor import Predictor
from sam2lora.models.loading import LoadedModel, load_base, random_base
from sam2lora.models.registry import BASE_MODELS
from sam2lora.models.weights import read_metadata, weights_digest
from sam2lora.runs import RunFolder, best_adapter
from sam2lora.settings import DetailHeadSettings
from sam2lora.training.data_split import data_hash, plan_data
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import (
    TrainableModel,
    TrainingResult,
    find_start,
    make_trainable,
    name_of_run,
)
from sam2lora.training.validation import Validation, read_validation_images

from .helpers import Make, RunThrough

in_pocket = pytest.mark.usefixtures("pocket")

RECORD = TrainingResult(
    name="trial",
    step=7,
    validation=Validation(
        dice=0.5, threshold=0.45, loss=0.3, per_image={"eyes/a": 0.5}, iou_offset=0.08
    ),
    data={"images": {"eyes disc": 6}},
    data_hash="0" * 64,
    computed={"device": "cpu", "batch": 2},
)


def continued(settings: TrainSettings) -> TrainableModel:
    return make_trainable(settings, start=find_start(settings))


def copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@in_pocket
def test_card_records_how_the_adapter_was_trained(make: Make, tmp_path: Path) -> None:
    settings = make(lora={"rank": 2, "dropout": 0.2}, multimask_token=True, seed=3)
    trainable = make_trainable(settings)
    trainable.save(tmp_path / "7", RECORD)
    card = open_adapter(tmp_path / "7").card
    assert (card.name, card.target.name, card.base.name) == ("trial", "disc", "nano")
    assert card.base.identity == trainable.base.weights_sha256
    assert card.geometry == settings.geometry
    assert (card.lora.rank, card.lora.alpha, card.lora.dropout) == (2, 4, 0.2)
    assert card.threshold == 0.45
    assert card.iou_offset == 0, "SAM 2 was trained to judge its own mask"
    assert card.multimask_token
    assert card.training["step"] == 7
    assert card.training["optimizer"] == settings.model_dump(mode="json")["optimizer"]
    assert (card.training["device"], card.training["batch"]) == ("cpu", 2)
    assert card.validation == {"dice": 0.5, "loss": 0.3, "images": 1}
    assert (card.data, card.data_hash) == ({"images": {"eyes disc": 6}}, "0" * 64)
    assert card.started_from is None
    assert card.trainable == sum(tensor.numel() for tensor in trainable.tensors().values())


@in_pocket
def test_card_contains_no_local_paths(make: Make, eyes: Path, tmp_path: Path) -> None:
    make_trainable(make()).save(tmp_path / "7", RECORD)
    for file in (tmp_path / "7").glob("*.[jm]*"):
        assert str(eyes.parent) not in file.read_text(encoding="utf-8"), file


@in_pocket
def test_default_geometry_is_that_of_the_target(make: Make, tmp_path: Path) -> None:
    make_trainable(make(geometry=None, target="vessel")).save(tmp_path / "0", RECORD)
    assert open_adapter(tmp_path / "0").card.geometry.detail == "tiles"


@in_pocket
def test_adapter_starts_from_another_adapter(make: Make, tmp_path: Path) -> None:
    first = make_trainable(make(seed=5))
    for tensor in first.tensors().values():
        tensor.add_(1)
    first.save(tmp_path / "first", RECORD)
    second = continued(make(lora={"rank": None}, start_from=str(tmp_path / "first")))
    assert second.tensors().keys() == first.tensors().keys()
    for name, tensor in first.tensors().items():
        assert torch.equal(second.tensors()[name], tensor)
    second.save(tmp_path / "second", RECORD)
    assert open_adapter(tmp_path / "second").card.started_from == AdapterReference(
        name="trial", digest=open_adapter(tmp_path / "first").digest()
    )


@in_pocket
def test_initial_adapter_for_another_target_is_refused(make: Make, tmp_path: Path) -> None:
    make_trainable(make()).save(tmp_path / "disc", RECORD)
    with pytest.raises(AdapterError, match=r"disc.*vessel|vessel.*disc"):
        continued(make(target="vessel", start_from=str(tmp_path / "disc")))


@in_pocket
def test_missing_initial_adapter_is_named(make: Make) -> None:
    with pytest.raises(AdapterError, match="nowhere"):
        find_start(make(start_from="nowhere"))
    assert find_start(make()) is None


@in_pocket
def test_tensors_are_restored_from_a_checkpoint(make: Make) -> None:
    first, second = make_trainable(make(seed=1)), make_trainable(make(seed=2))
    kept = copies(first.tensors())
    second.load(kept, "checkpoint.pt")
    for name, tensor in kept.items():
        assert torch.equal(second.tensors()[name], tensor)
    with pytest.raises(AdapterError, match=r"checkpoint\.pt"):
        second.load(make_trainable(make(lora={"rank": 2})).tensors(), "checkpoint.pt")


@in_pocket
def test_a_detail_head_is_saved_restored_and_continued(make: Make, tmp_path: Path) -> None:
    first = make_trainable(make(detail_head={}, seed=5))
    for tensor in first.tensors().values():
        tensor.add_(0.5)
    first.save(tmp_path / "first", RECORD)
    adapter = open_adapter(tmp_path / "first")
    assert adapter.card.detail_head == DetailHeadSettings()
    assert adapter.card.iou_offset == 0.08
    lora = read_shapes(adapter.weights)
    assert not any("detail_head" in name for name in lora), "PEFT reads its own tensors only"
    for changes in ({}, {"detail_head": {}}):
        second = continued(make(lora={}, start_from=str(tmp_path / "first"), **changes))
        assert second.tensors().keys() == first.tensors().keys()
        for name, tensor in first.tensors().items():
            assert torch.equal(second.tensors()[name], tensor), name
    plain = make_trainable(make())
    with pytest.raises(AdapterError, match=r"checkpoint\.pt: holds a detail head"):
        plain.load(first.tensors(), "checkpoint.pt")
    with pytest.raises(AdapterError, match=r"checkpoint\.pt"):
        first.load(plain.tensors(), "checkpoint.pt")


@in_pocket
@pytest.mark.parametrize("multimask", [False, True])
def test_adapter_predicts_with_the_token_it_was_trained_for(
    make: Make, run_through: RunThrough, pocket: Callable[[], LoadedModel], multimask: bool
) -> None:
    settings = make(steps=1, multimask_token=multimask)
    run, _ = run_through(settings)
    best = best_adapter(run.path)
    assert best is not None
    adapter = open_adapter(best.folder)
    predictor = Predictor(pocket(), device="cpu", precision="float32")
    multimasks = []
    decode = predictor.base.network.decode

    def recording(*arguments: Any, multimask: bool = False) -> Any:
        multimasks.append(multimask)
        return decode(*arguments, multimask=multimask)

    predictor.base.network.decode = recording  # type: ignore[method-assign]
    predictor.set_adapter(adapter)
    (image,) = read_validation_images(plan_data(settings).validation)
    prediction = predictor.predict(image.prepared, adapter.card.geometry)
    assert multimasks == [multimask]
    trainable = make_trainable(settings)
    trainable.load(run.load_checkpoint()["tensors"], "")
    other = Predictor(
        trainable.base, device="cpu", precision="float32", multimask_token=multimask
    ).predict(image.prepared, adapter.card.geometry)
    torch.testing.assert_close(
        torch.from_numpy(prediction.probabilities), torch.from_numpy(other.probabilities)
    )


@in_pocket
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_encoder": True}, "--start-from"),
        ({"train": "base", "start_from": "some"}, "start_from"),
        ({"also": ["vessel"]}, "also"),
        ({"freeze_network": True}, "set detail_head"),
        ({"freeze_network": True, "freeze_encoder": True, "start_from": "some"}, "one of them"),
        ({"train": "base", "detail_head": {}}, "belongs to an adapter"),
    ],
    ids=[
        *("quick without start", "base from adapter", "adapter of two"),
        *("frozen without head", "frozen twice", "base with head"),
    ],
)
def test_contradictory_settings_are_refused(
    make: Make, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        make_trainable(make(**changes))


# Weights that affect neither the single mask nor its score.
UNUSED = (
    *(f"sam_mask_decoder.output_hypernetworks_mlps.{token}." for token in (1, 2, 3)),
    "sam_mask_decoder.pred_obj_score_head.",
)


def test_all_weights_of_a_base_are_trained_and_it_can_be_loaded(
    make: Make, run_through: RunThrough
) -> None:
    shipped = BASE_MODELS["nano"].path
    content = shipped.read_bytes() if shipped.exists() else b""
    before = load_base("nano")
    sampling = {"none": 0, "points": 0, "box": 0, "box_and_points": 0.5, "previous": 0.5}
    run, _ = run_through(make(train="base", steps=2, batch=2, prompts=sampling))
    assert [path.name for path in run.adapter(2).iterdir()] == ["nano.safetensors"]
    trained = load_base(run.adapter(2) / "nano.safetensors")
    assert trained.trained
    assert trained.weights_sha256 == weights_digest(trained.network) != before.weights_sha256
    assert trained.learned_from == {**before.learned_from, "eyes disc": 6}
    notes = read_metadata(run.adapter(2) / "nano.safetensors")
    assert notes["targets"] == '["disc"]'
    manifest = json.loads((run.data / "manifest.json").read_bytes())
    assert notes["data_hash"] == data_hash(manifest)
    kept = run.load_checkpoint()["tensors"]
    for name, tensor in trained.network.state_dict().items():
        assert torch.equal(tensor, kept[name].half().float()), name
    unchanged = [
        name
        for name, weight in before.network.named_parameters()
        if torch.equal(weight, kept[name]) and not name.startswith(UNUSED)
    ]
    assert unchanged == []
    assert load_base("nano").weights_sha256 == before.weights_sha256
    assert (shipped.read_bytes() if shipped.exists() else b"") == content


@in_pocket
def test_base_with_different_tensors_is_refused(make: Make) -> None:
    trainable = make_trainable(make(train="base"))
    tensors = copies(trainable.tensors())
    tensors.popitem()
    with pytest.raises(SettingsError, match=r"checkpoint\.pt.*nano"):
        trainable.load(tensors, "checkpoint.pt")


def test_unknown_base_is_refused_with_the_available_ones(make: Make) -> None:
    with pytest.raises(ModelError, match="nano, tiny"):
        make_trainable(make(model="nana"))


@in_pocket
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my run", "my-run"),
        ("vessel_2.1", "vessel_2.1"),
        ("Läufe (neu)", "L-ufe-neu"),
        ("眼底", "run"),
        ("x" * 80, "x" * 60),
        ("-.a.-", "a"),
        ("nul", "run-nul"),  # reserved by Windows
    ],
)
def test_adapter_is_named_after_the_run_folder(
    make: Make, tmp_path: Path, folder: str, name: str
) -> None:
    assert name_of_run(tmp_path / folder) == name
    record = replace(RECORD, name=name)
    make_trainable(make()).save(tmp_path / "out", record)  # the card accepts the name
    assert open_adapter(tmp_path / "out").card.name == name


@pytest.fixture(scope="module")
def tiny(stock_sam2: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint of SAM 2.1 tiny with random weights, in the format that Meta publishes."""
    path = tmp_path_factory.mktemp("tiny") / "sam2.1_hiera_tiny.pt"
    torch.save({"model": stock_sam2("tiny").state_dict()}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["attention", "wide", "decoder"])
def test_tiny_trains_a_step_in_each_placement(
    make: Make, begin: Callable[..., RunFolder], tiny: Path, placement: str
) -> None:
    torch.set_num_threads(2)
    settings = make(model=str(tiny), steps=1, lora={"placement": placement, "rank": 2})
    run = begin(settings)
    list(train(run))
    best = best_adapter(run.path)
    assert best is not None
    card = open_adapter(best.folder).card
    assert (card.base.name, card.lora.placement) == ("tiny", placement)
    tensors = run.load_checkpoint()["tensors"]
    parts = {network_part(name) for name in tensors}
    assert parts == ({"decoder"} if placement == "decoder" else {"encoder", "decoder"})
    for name, tensor in tensors.items():  # the first step changes only B, which starts at 0
        assert tensor.abs().max() > 0, name


def test_base_from_scratch_ignores_existing_weights(make: Make) -> None:
    fresh = make_trainable(make(train="base", from_scratch=True))
    assert not fresh.base.trained
    assert fresh.base.weights_sha256 == random_base("nano").weights_sha256
    with pytest.raises(SettingsError, match="from_scratch"):
        make_trainable(make(from_scratch=True))
