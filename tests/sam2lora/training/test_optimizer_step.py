"""One optimizer step: what it adds up, what it leaves alone, and what stops it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from sam2lora.errors import DeviceError, TrainingError
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.losses.composite import LossTerms, composite_loss
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import TrainingDataset, TrainingSample
from sam2lora.training.optimizer_step import OptimizerStep, saves_memory, training_precision
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import make_trainable

Make = Callable[..., TrainSettings]

LOSS = "sam2lora.training.optimizer_step.composite_loss"
NO_DROPOUT = {"rank": 4, "dropout": 0}

pytestmark = pytest.mark.usefixtures("pocket")


def stepper_of(settings: TrainSettings) -> OptimizerStep:
    return OptimizerStep(
        make_trainable(settings), settings, Accelerator(cpu=True), EmbeddingCache(1 << 30)
    )


def draw(settings: TrainSettings, count: int) -> list[TrainingSample]:
    samples = TrainingDataset(plan_data(settings).groups, settings, size=128, mask_size=32)
    return [samples.draw(number) for number in range(count)]


def copies(tensors: list[torch.nn.Parameter]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def norm(gradients: list[Tensor]) -> float:
    return float(torch.stack([gradient.norm() for gradient in gradients]).norm())


def gradients_of(stepper: OptimizerStep) -> list[Tensor]:
    return [weight.grad.clone() for weight in stepper.weights if weight.grad is not None]


def test_the_total_is_clipped_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, norms = torch.nn.utils.clip_grad_norm_, []

    def count(weights: list[Tensor], most: float) -> Tensor:
        norms.append(clip(weights, most))
        return norms[-1]

    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", count)
    found = {}
    for most in (1e9, 1e-3):
        settings = make(optimizer={"clip": most, "warmup": 0}, lora=NO_DROPOUT)
        stepper = stepper_of(settings)
        stepper.step(draw(settings, 4), number=0, rate=1e-3, batch=1)
        found[most] = gradients_of(stepper)
    assert len(norms) == 2
    assert float(norms[0]) == pytest.approx(norm(found[1e9]))
    assert norm(found[1e9]) > 1e-2
    assert norm(found[1e-3]) == pytest.approx(1e-3, rel=1e-3)
    scale = 1e-3 / norm(found[1e9])
    for whole, clipped in zip(found[1e9], found[1e-3], strict=True):
        torch.testing.assert_close(clipped, whole * scale, rtol=1e-3, atol=1e-9)


def test_loss_and_terms_are_means_over_the_samples(make: Make) -> None:
    settings = make(lora=NO_DROPOUT)
    samples = draw(settings, 3)
    each = [stepper_of(settings).step([one], number=0, rate=0, batch=1) for one in samples]
    # Of unequal batches: two samples and one.
    loss, terms = stepper_of(settings).step(samples, number=0, rate=0, batch=2)
    assert loss == pytest.approx(sum(one for one, _ in each) / 3, rel=1e-5)
    assert set(terms) == {"bce", "soft_dice", "focal_tversky", "iou"}
    for name, value in terms.items():
        assert value == pytest.approx(sum(one[name] for _, one in each) / 3, rel=1e-4)
    assert loss == pytest.approx(
        terms["bce"] + terms["soft_dice"] + terms["focal_tversky"] + 0.1 * terms["iou"], rel=1e-5
    )


def test_dropout_depends_on_seed_and_number_of_the_step_alone(make: Make) -> None:
    samples = draw(make(), 2)

    def losses(*numbers: int, seed: int = 0) -> list[float]:
        stepper = stepper_of(make(lora={"rank": 4, "dropout": 0.5}, seed=seed))
        for weight in stepper.weights:  # B starts at 0, which hides what is dropped
            weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
        return [stepper.step(samples, number=one, rate=0, batch=2)[0] for one in numbers]

    forth, back = losses(3, 4, 5), losses(5, 4, 3)
    assert forth == back[::-1]
    assert len({*forth, *losses(3, seed=1)}) == 4


def test_the_learning_rate_is_that_of_the_step(make: Make) -> None:
    settings = make(optimizer={"weight_decay": 0})
    stepper = stepper_of(settings)
    samples = draw(settings, 1)
    before = copies(stepper.weights)
    stepper.step(samples, number=0, rate=0, batch=1)
    assert all(map(torch.equal, before, stepper.weights))
    stepper.step(samples, number=0, rate=1e-3, batch=1)
    moved = [
        (new.detach() - old).abs().max() for old, new in zip(before, stepper.weights, strict=True)
    ]
    assert 5e-4 < float(max(moved)) < 2e-3  # AdamW's step is about the learning rate


def test_decay_spares_biases_and_norms(make: Make) -> None:
    stepper = stepper_of(make(train="base", optimizer={"weight_decay": 0.1}))
    by_decay = {
        group["weight_decay"]: {one.ndim for one in group["params"]}
        for group in stepper.optimizer.param_groups
    }
    assert by_decay[0.0] == {1}
    assert min(by_decay[0.1]) == 2
    assert len(stepper.optimizer.param_groups) == 2


def test_half_precision_trains_float32_weights(make: Make) -> None:
    settings = make(precision="bfloat16")
    stepper = stepper_of(settings)
    before = copies(stepper.weights)
    loss, _ = stepper.step(draw(settings, 1), number=0, rate=1e-3, batch=1)
    exact, _ = stepper_of(make()).step(draw(settings, 1), number=0, rate=1e-3, batch=1)
    assert loss == pytest.approx(exact, rel=0.02)
    assert loss != exact
    assert {weight.dtype for weight in stepper.weights} == {torch.float32}
    assert not all(map(torch.equal, before, stepper.weights))


def test_float16_is_float32_where_there_is_none(make: Make) -> None:
    cpu = torch.device("cpu")
    assert training_precision(make(precision="float16"), cpu) == "float32"
    assert training_precision(make(precision="bfloat16"), cpu) == "bfloat16"
    assert training_precision(make(precision="float16"), torch.device("cuda")) == "float16"


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Let the loss be something else; `change` is given it and the logits."""

    def loss(logits: Tensor, *rest: Any, **named: Any) -> LossTerms:
        found = composite_loss(logits, *rest, **named)
        return replace(found, total=change(found.total, logits))

    monkeypatch.setattr(LOSS, loss)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda total, logits: total * float("nan"), "loss is nan"),
        (lambda total, logits: total * float("inf"), "loss is inf"),
        # The square root of 0 has an infinite slope, and 0 times infinity is no number.
        (lambda total, logits: total + (logits * 0).sum().sqrt(), "gradient"),
    ],
    ids=["nan", "infinite", "gradient only"],
)
def test_what_is_no_number_stops_before_it_reaches_the_weights(
    make: Make, monkeypatch: pytest.MonkeyPatch, change: Any, words: str
) -> None:
    settings = make()
    stepper = stepper_of(settings)
    samples = draw(settings, 2)
    stepper.step(samples, number=0, rate=1e-3, batch=1)
    weights, state = copies(stepper.weights), copy.deepcopy(stepper.optimizer.state_dict()["state"])
    spoil(monkeypatch, change)
    with pytest.raises(TrainingError, match=rf"{words}.*step 1.*(left|right)\.png") as stopped:
        stepper.step(samples, number=1, rate=1e-3, batch=1)
    assert "Lower the learning rate" in str(stopped.value)
    assert all(map(torch.equal, weights, stepper.weights))
    for number, moments in stepper.optimizer.state_dict()["state"].items():
        assert torch.equal(moments["exp_avg"], state[number]["exp_avg"])
        assert moments["step"] == state[number]["step"]


def test_a_scaled_gradient_that_overflows_leaves_the_step_out(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = torch.amp.GradScaler
    monkeypatch.setattr("torch.amp.GradScaler", lambda device, enabled: scaler(device))
    settings = make()
    stepper = stepper_of(settings)
    samples = draw(settings, 1)
    overflowing = [True, True, False]

    def scaled(total: Tensor, logits: Tensor) -> Tensor:
        return total + (logits * 0).sum().sqrt() if overflowing.pop(0) else total

    spoil(monkeypatch, scaled)
    before, scale = copies(stepper.weights), stepper.scaler.get_scale()
    for _ in range(2):
        loss, _ = stepper.step(samples, number=0, rate=1e-3, batch=1)
        assert 0 < loss < 4
        assert all(map(torch.equal, before, stepper.weights))
    assert stepper.scaler.get_scale() == scale / 4
    stepper.step(samples, number=2, rate=1e-3, batch=1)
    assert not all(map(torch.equal, before, stepper.weights))


def test_gradients_that_never_fit_are_the_end_in_words(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = torch.amp.GradScaler
    monkeypatch.setattr("torch.amp.GradScaler", lambda device, enabled: scaler(device))
    settings = make()
    stepper = stepper_of(settings)
    samples = draw(settings, 1)
    spoil(monkeypatch, lambda total, logits: total + (logits * 0).sum().sqrt())
    for number in range(20):  # its scale is a millionth of what it was then
        stepper.step(samples, number=number, rate=1e-3, batch=1)
    with pytest.raises(TrainingError, match=r"gradient is (nan|inf).*precision float32"):
        stepper.step(samples, number=20, rate=1e-3, batch=1)


def test_out_of_memory_is_said_in_words_and_changes_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make()
    samples = draw(settings, 2)
    undisturbed = stepper_of(settings).step(samples, number=0, rate=1e-3, batch=1)
    stepper = stepper_of(settings)
    before = copies(stepper.weights)
    calls = []

    def second_fails(total: Tensor, logits: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return total

    spoil(monkeypatch, second_fails)
    with pytest.raises(DeviceError, match=r"more memory than this computer.*low-memory"):
        stepper.step(samples, number=0, rate=1e-3, batch=1)
    assert all(map(torch.equal, before, stepper.weights))
    assert stepper.step(samples, number=0, rate=1e-3, batch=1) == undisturbed


def test_without_memory_for_the_model_or_the_optimizer_it_ends_in_words(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    settings = make()
    stepper = stepper_of(settings)
    with monkeypatch.context() as patch:
        patch.setattr(stepper.optimizer, "step", fail)
        # Not a DeviceError: on that the loop would do the step again.
        with pytest.raises(TrainingError, match=r"AdamW needs more memory.*low-memory"):
            stepper.step(draw(settings, 1), number=0, rate=1e-3, batch=1)
    monkeypatch.setattr("sam2lora.training.prompted_model.PromptedNetwork.to", fail)
    with pytest.raises(DeviceError, match=r"The model needs more memory.*choose a smaller model"):
        stepper_of(settings)


def test_what_saves_memory_depends_on_what_is_left_to_save(make: Make) -> None:
    assert saves_memory(make(), 2) == "a smaller batch"
    assert "low-memory" in saves_memory(make(), 1)
    assert saves_memory(make(gradient_checkpointing=True), 1) == ""


def test_a_frozen_base_gets_no_gradient(make: Make) -> None:
    settings = make()
    trainee = make_trainable(settings)
    stepper = OptimizerStep(trainee, settings, Accelerator(cpu=True), EmbeddingCache(0))
    stepper.step(draw(settings, 1), number=0, rate=1e-3, batch=1)
    with_gradient = {
        name for name, weight in trainee.model.named_parameters() if weight.grad is not None
    }
    assert with_gradient
    assert all(".lora_" in name for name in with_gradient)
