"""The sixteen defects in the published code of SAM2LoRA, each with the test that detects it.

| # | defect | test |
|---|---|---|
| 1 | without a checkpoint it trains nothing | below |
| 2 | on a GPU the tensors of LoRA are no parameters | below; adapters/test_lora.py::test_moving_the_device_keeps_the_trainable_parameters |
| 3 | only the last image of a batch is encoded | below |
| 4 | gradients are clipped while scaled, on every micro-step | below; training/test_optimizer_step.py::test_total_gradient_is_clipped_once |
| 5 | the gradient of a missed pixel vanishes | losses/test_functional.py::test_missed_pixel_has_its_full_gradient_at_any_logit |
| 6 | augmentation and prompts are drawn once | below |
| 7 | images are shrunk by nearest neighbour, aspect lost | transforms/test_windows.py::test_points_return_from_the_network_unchanged, transforms/test_windows.py::test_mask_returns_from_the_network_within_a_pixel, transforms/test_windows.py::test_reduction_averages_thin_lines |
| 8 | parts of the base are dropped or initialised anew | below; models/test_sam2_image_model.py::test_predictions_equal_those_of_stock_sam2, adapters/test_lora.py::test_untrained_lora_predicts_exactly_as_the_base |
| 9 | samples that fail are dropped | below; training/test_data_loader.py::test_failing_sample_raises_with_its_file_name |
| 10 | "5 + 1 negative" has no negative point | prompts/test_sampling.py::test_seven_regimes_have_their_points_and_boxes, prompts/test_sampling.py::test_sampled_prompts_match_their_regime |
| 11 | positive points off the mask | prompts/test_sampling.py::test_sampled_prompts_match_their_regime, training/test_dataset.py::test_points_lie_on_the_augmented_mask |
| 12 | "ASSD" takes rows for points | metrics/test_segmentation.py::test_lines_ten_rows_apart_are_ten_pixels_apart, metrics/test_segmentation.py::test_distances_of_shifted_discs |
| 13 | both eyes of a patient on both sides | training/test_data_split.py::test_no_patient_is_on_both_sides_and_none_is_lost, training/test_data_split.py::test_split_is_the_same_on_another_machine |
| 14 | the luckiest training loss is the best | below |
| 15 | a checkpoint holds the base, no rank, no targets, as a pickle | below; adapters/test_serialization.py::test_adapter_loads_without_network_or_arguments |
| 16 | the best of 30 means of means is the headline | evaluation/report/test_writer.py::test_csv_has_a_row_for_each_image_regime_and_model, evaluation/report/test_writer.py::test_cells_are_means_over_images_and_count_undefined, evaluation/report/test_markdown.py::test_each_regime_has_its_own_table |
"""  # noqa: E501

import ast
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2lora.adapters import open_adapter
from sam2lora.errors import ImageError
from sam2lora.inference.predictor import Predictor
from sam2lora.losses.composite import composite_loss
from sam2lora.metrics.segmentation import dice
from sam2lora.models.loading import LoadedModel
from sam2lora.models.weights import weights_digest
from sam2lora.runs import (
    FailedEvent,
    RunFolder,
    StepEvent,
    ValidationEvent,
    best_adapter,
    read_events,
)
from sam2lora.training.data_loader import collate
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import make_trainable
from sam2lora.training.validation import Validation, read_validation_images

from .helpers import Make, RunThrough, optimizer_step_of, samples_of

pytestmark = pytest.mark.usefixtures("pocket")

CPU = torch.device("cpu")
TESTS = Path(__file__).parents[1]


def test_defect_table_names_existing_tests() -> None:
    named = re.findall(r"([\w/]+\.py)::(\w+)", __doc__)
    assert len(named) >= 15
    for file, function in named:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (
            f"{file} has no {function}"
        )
    rows = set(re.findall(r"^\| (\d+) \|.* below", __doc__, re.MULTILINE))
    here = set(re.findall(r"^def test_defect_0?(\d+)_", Path(__file__).read_text(), re.MULTILINE))
    assert here == rows


def test_defect_01_a_run_from_scratch_lowers_the_loss(
    make: Make, run_through: RunThrough, eyes: Path
) -> None:
    settings = make(
        target="vessel",
        steps=16,
        batch=2,
        augment={"elastic": 0, "rotation": 0},
        prompts={"points": 0, "box": 0, "box_and_points": 0, "previous": 0},
        optimizer={"learning_rate": 5e-3, "warmup": 0},
        lora={"rank": 8, "dropout": 0},
    )
    _, events = run_through(settings)
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.05


def test_defect_02_what_is_optimized_is_exactly_what_an_adapter_keeps(make: Make) -> None:
    settings = make()
    trainable = make_trainable(settings)
    optimizer = optimizer_step_of(settings, trainable).optimizer
    trainable.model.to("meta")  # another device, to which only parameters are moved
    names = {name for name, weight in trainable.model.named_parameters() if weight.requires_grad}
    optimized = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert len(optimized) == len(names) == len(trainable.tensors())
    assert {name.replace(".default", "").removeprefix("network.") for name in names} == {
        name.removeprefix("base_model.model.") for name in trainable.tensors()
    }
    assert all(tensor.device.type == "meta" for tensor in trainable.tensors().values())


def test_defect_03_each_image_is_encoded_and_only_its_own_loss_changes(make: Make) -> None:
    settings = make(lora={"rank": 4, "dropout": 0})
    model = make_trainable(settings).model.eval()
    samples = samples_of(settings, 0, 1, 2)
    others = samples_of(make(seed=9), 0, 1, 2)

    @torch.no_grad()
    def losses(images: list[TrainingSample]) -> list[float]:
        batch, shown = collate(samples, CPU), collate(images, CPU)
        first, *_ = model(shown.images, batch.prompts)
        return [
            float(
                composite_loss(
                    first.logits[index : index + 1],
                    first.iou[index : index + 1],
                    batch.target[index : index + 1],
                    settings.loss,
                    valid=batch.valid[index : index + 1],
                ).total
            )
            for index in range(3)
        ]

    plain = losses(samples)
    for changed in range(3):
        images = [*samples[:changed], others[changed], *samples[changed + 1 :]]
        differs = [
            abs(before - after) > 1e-4 for before, after in zip(plain, losses(images), strict=True)
        ]
        assert differs == [index == changed for index in range(3)]


def test_defect_04_four_micro_steps_give_the_gradient_of_their_mean(make: Make) -> None:
    settings = make(lora={"rank": 4, "dropout": 0}, optimizer={"clip": 1e9})
    samples = samples_of(settings, 0, 1, 2, 3)

    def gradient(chosen: list[TrainingSample], batch: int) -> torch.Tensor:
        optimizer_step = optimizer_step_of(settings)
        optimizer_step.step(chosen, number=0, rate=0, batch=batch)
        return torch.cat([weight.grad.flatten() for weight in optimizer_step.weights])

    together = gradient(samples, 4)
    assert together.norm() > 1e-2
    torch.testing.assert_close(gradient(samples, 1), together, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(gradient(samples, 3), together, rtol=1e-3, atol=1e-6)
    each = torch.stack([gradient([sample], 1) for sample in samples])
    torch.testing.assert_close(each.mean(dim=0), together, rtol=1e-3, atol=1e-6)
    assert (each[-1] - together).norm() > 0.1 * together.norm()


def test_defect_06_epochs_draw_differently_and_a_seed_repeats(make: Make) -> None:
    mix = {"none": 0, "points": 1, "box": 0, "box_and_points": 0, "previous": 0}
    settings = make(prompts=mix | {"positive": (5, 5), "negative": (0, 0)})
    images = 6

    def epoch(number: int, settings: TrainSettings) -> dict[str, TrainingSample]:
        numbers = range(number * images, (number + 1) * images)
        return {sample.name: sample for sample in samples_of(settings, *numbers)}

    first, second, repeated = epoch(0, settings), epoch(1, settings), epoch(1, settings)
    other_seed = epoch(1, settings.model_copy(update={"seed": 1}))
    assert first.keys() == second.keys()
    for name, sample in second.items():
        assert np.array_equal(sample.pixels, repeated[name].pixels)
        assert np.array_equal(sample.mask, repeated[name].mask)
        assert torch.equal(sample.prompts.points, repeated[name].prompts.points)
        for another in (first, other_seed):
            if name in another:
                assert not np.array_equal(sample.pixels, another[name].pixels)
                assert not np.array_equal(sample.mask, another[name].mask)
                assert not torch.equal(sample.prompts.points, another[name].prompts.points)


def test_defect_08_training_leaves_the_base_as_it_was(
    make: Make, begin: Callable[..., RunFolder], pocket: Callable[[], LoadedModel], monkeypatch
) -> None:
    loaded = pocket()
    before = {name: tensor.clone() for name, tensor in loaded.network.state_dict().items()}
    monkeypatch.setattr("sam2lora.training.trainable.load_base", lambda _: loaded)
    list(train(begin(make(steps=2, optimizer={"learning_rate": 0.1}))))
    after = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in loaded.network.state_dict().items()
        if ".lora_" not in name
    }
    assert after.keys() == before.keys()
    assert "no_mem_embed" in before
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert weights_digest(pocket().network) == loaded.weights_sha256


def test_defect_09_a_failing_sample_stops_the_run_with_its_file_name(
    make: Make, begin: Callable[..., RunFolder], write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    settings = make(data=[{"root": str(write_eyes(tmp_path / "eyes"))}], steps=6)
    broken = Path(samples_of(settings, 3)[0].name)
    broken.write_bytes(broken.read_bytes()[:200])
    run = begin(settings)
    with pytest.raises(ImageError, match=str(broken)):
        list(train(run))
    *_, step, failed = read_events(run.events)[0]
    assert isinstance(step, StepEvent)
    assert isinstance(failed, FailedEvent)
    assert (step.step, failed.step, failed.reason) == (3, 3, "ImageError")
    assert str(broken) in failed.words


def test_defect_14_the_best_is_chosen_by_validation_dice(
    make: Make, run_through: RunThrough, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.7, 0.6, 0.7])

    def scripted(*_: object, **__: object) -> Validation:
        score = next(scores)
        return Validation(dice=score, threshold=0.4, loss=1 - score, per_image={"eyes/a": score})

    monkeypatch.setattr("sam2lora.training.loop.validate", scripted)
    run, events = run_through(make(steps=4, validation={"every": 1}))
    validations = [event for event in events if isinstance(event, ValidationEvent)]
    assert [(event.mean, event.best, event.best_step) for event in validations] == [
        (0.5, 0.5, 1),
        (0.7, 0.7, 2),
        (0.6, 0.7, 2),
        (0.7, 0.7, 2),
    ]
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert int(np.argmin(losses)) != 1  # the loss would have selected another
    best = best_adapter(run.path)
    assert best is not None
    assert (best.step, best.dice) == (2, 0.7)


def test_defect_15_an_adapter_is_safetensors_only_and_loads_with_no_other_input(
    make: Make, run_through: RunThrough, pocket: Callable[[], LoadedModel]
) -> None:
    settings = make(lora={"rank": 4, "alpha": 5})
    run, events = run_through(settings)
    best = best_adapter(run.path)
    assert best is not None
    assert sorted(file.name for file in best.folder.iterdir()) == [
        *("README.md", "adapter_config.json", "adapter_model.safetensors", "sam2lora.json"),
    ]
    assert sum(file.stat().st_size for file in best.folder.iterdir()) < 1_000_000
    adapter = open_adapter(best.folder)
    assert (adapter.card.target.name, adapter.card.lora.rank) == ("disc", 4)
    assert adapter.card.lora.alpha == 5
    # Its prediction is the one that was validated.
    predictor = Predictor(pocket(), device="cpu", precision="float32")
    predictor.set_adapter(adapter)
    (image,) = read_validation_images(plan_data(settings).validation)
    mask = predictor.predict(image.prepared, adapter.card.geometry).mask(adapter.card.threshold)
    found = dice(mask, image.reference, valid=image.prepared.field.mask)
    validated = next(event for event in events if isinstance(event, ValidationEvent))
    assert validated.dice == {image.name: pytest.approx(found, abs=1e-3)}
    assert adapter.card.validation["dice"] == pytest.approx(found, abs=1e-3)
