"""One optimizer step: what it accumulates, what it leaves unchanged, and what stops it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sam2lora.errors import DeviceError, TrainingError
from sam2lora.losses.composite import LossTerms, composite_loss
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.optimizer_step import OptimizerStep, memory_advice, training_precision
from sam2lora.training.trainable import make_trainable

from .helpers import Make, optimizer_step_of, samples_of

LOSS = "sam2lora.training.correction_rounds.composite_loss"
NO_DROPOUT = {"rank": 4, "dropout": 0}

pytestmark = pytest.mark.usefixtures("pocket")


def copies(tensors: list[torch.nn.Parameter]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def norm(gradients: list[Tensor]) -> float:
    return float(torch.stack([gradient.norm() for gradient in gradients]).norm())


def gradients_of(optimizer_step: OptimizerStep) -> list[Tensor]:
    return [weight.grad.clone() for weight in optimizer_step.weights if weight.grad is not None]


def test_total_gradient_is_clipped_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, norms = torch.nn.utils.clip_grad_norm_, []

    def count(weights: list[Tensor], limit: float) -> Tensor:
        norms.append(clip(weights, limit))
        return norms[-1]

    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", count)
    found = {}
    for limit in (1e9, 1e-3):
        settings = make(optimizer={"clip": limit, "warmup": 0}, lora=NO_DROPOUT)
        optimizer_step = optimizer_step_of(settings)
        optimizer_step.step(samples_of(settings, 0, 1, 2, 3), number=0, rate=1e-3, batch=1)
        found[limit] = gradients_of(optimizer_step)
    assert len(norms) == 2
    assert float(norms[0]) == pytest.approx(norm(found[1e9]))
    assert norm(found[1e9]) > 1e-2
    assert norm(found[1e-3]) == pytest.approx(1e-3, rel=1e-3)
    scale = 1e-3 / norm(found[1e9])
    for full, clipped in zip(found[1e9], found[1e-3], strict=True):
        torch.testing.assert_close(clipped, full * scale, rtol=1e-3, atol=1e-9)


def test_corrected_samples_count_alike_in_batches_of_any_size(make: Make) -> None:
    settings = make(lora=NO_DROPOUT, prompts={"corrected": 0.6, "rounds": 3})
    samples = samples_of(settings, *range(4))
    rounds = {sample.rounds for sample in samples}
    assert 0 in rounds
    assert max(rounds) > 1

    def gradient(images: list[TrainingSample], size: int) -> Tensor:
        optimizer_step = optimizer_step_of(settings)
        optimizer_step.step(images, number=0, rate=0, batch=size)
        return torch.cat([found.flatten() for found in gradients_of(optimizer_step)])

    whole = gradient(samples, 4)
    torch.testing.assert_close(gradient(samples, 1), whole, rtol=1e-3, atol=1e-5)
    uncorrected = gradient([replace(sample, rounds=0) for sample in samples], 4)
    assert not torch.allclose(uncorrected, whole, rtol=1e-2, atol=1e-4)


def test_loss_and_terms_are_means_over_the_samples(make: Make) -> None:
    settings = make(lora=NO_DROPOUT)
    samples = samples_of(settings, 0, 1, 2)
    each = [
        optimizer_step_of(settings).step([sample], number=0, rate=0, batch=1) for sample in samples
    ]
    # With unequal batches, of two samples and of one.
    loss, terms = optimizer_step_of(settings).step(samples, number=0, rate=0, batch=2)
    assert loss == pytest.approx(sum(single for single, _ in each) / 3, rel=1e-5)
    assert set(terms) == {"bce", "soft_dice", "focal_tversky", "iou"}
    for name, value in terms.items():
        assert value == pytest.approx(sum(single[name] for _, single in each) / 3, rel=1e-4)
    assert loss == pytest.approx(
        terms["bce"] + terms["soft_dice"] + terms["focal_tversky"] + 0.1 * terms["iou"], rel=1e-5
    )


def test_dropout_depends_only_on_seed_and_step(make: Make) -> None:
    samples = samples_of(make(), 0, 1)

    def losses(*numbers: int, seed: int = 0) -> list[float]:
        optimizer_step = optimizer_step_of(make(lora={"rank": 4, "dropout": 0.5}, seed=seed))
        for weight in optimizer_step.weights:  # B starts at 0, which would hide dropout
            weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
        return [
            optimizer_step.step(samples, number=number, rate=0, batch=2)[0] for number in numbers
        ]

    forward, backward = losses(3, 4, 5), losses(5, 4, 3)
    assert forward == backward[::-1]
    assert len({*forward, *losses(3, seed=1)}) == 4


def test_step_uses_its_learning_rate(make: Make) -> None:
    settings = make(optimizer={"weight_decay": 0})
    optimizer_step = optimizer_step_of(settings)
    samples = samples_of(settings, 0)
    before = copies(optimizer_step.weights)
    optimizer_step.step(samples, number=0, rate=0, batch=1)
    assert all(map(torch.equal, before, optimizer_step.weights))
    optimizer_step.step(samples, number=0, rate=1e-3, batch=1)
    moved = [
        (new.detach() - old).abs().max()
        for old, new in zip(before, optimizer_step.weights, strict=True)
    ]
    assert 5e-4 < float(max(moved)) < 2e-3  # AdamW's step is about the learning rate


def test_weight_decay_excludes_biases_and_norms(make: Make) -> None:
    optimizer_step = optimizer_step_of(make(train="base", optimizer={"weight_decay": 0.1}))
    by_decay = {
        group["weight_decay"]: {weight.ndim for weight in group["params"]}
        for group in optimizer_step.optimizer.param_groups
    }
    assert by_decay[0.0] == {1}
    assert min(by_decay[0.1]) == 2
    assert len(optimizer_step.optimizer.param_groups) == 2


def test_half_precision_trains_float32_weights(make: Make) -> None:
    settings = make(precision="bfloat16")
    optimizer_step = optimizer_step_of(settings)
    before = copies(optimizer_step.weights)
    loss, _ = optimizer_step.step(samples_of(settings, 0), number=0, rate=1e-3, batch=1)
    exact, _ = optimizer_step_of(make()).step(samples_of(settings, 0), number=0, rate=1e-3, batch=1)
    assert loss == pytest.approx(exact, rel=0.02)
    assert loss != exact
    assert {weight.dtype for weight in optimizer_step.weights} == {torch.float32}
    assert not all(map(torch.equal, before, optimizer_step.weights))


def test_float16_becomes_float32_on_cpu(make: Make) -> None:
    cpu = torch.device("cpu")
    assert training_precision(make(precision="float16"), cpu) == "float32"
    assert training_precision(make(precision="bfloat16"), cpu) == "bfloat16"
    assert training_precision(make(precision="float16"), torch.device("cuda")) == "float16"


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Replace the total loss by `change(total, logits)`."""

    def loss(logits: Tensor, *rest: Any, **named: Any) -> LossTerms:
        found = composite_loss(logits, *rest, **named)
        return replace(found, total=change(found.total, logits))

    monkeypatch.setattr(LOSS, loss)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda total, logits: total * float("nan"), "loss is nan"),
        (lambda total, logits: total * float("inf"), "loss is inf"),
        # The square root has an infinite slope at 0, and 0 times infinity is NaN.
        (lambda total, logits: total + (logits * 0).sum().sqrt(), "gradient"),
    ],
    ids=["nan", "infinite", "gradient only"],
)
def test_non_finite_loss_or_gradient_leaves_weights_unchanged(
    make: Make, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    settings = make()
    optimizer_step = optimizer_step_of(settings)
    samples = samples_of(settings, 0, 1)
    optimizer_step.step(samples, number=0, rate=1e-3, batch=1)
    weights = copies(optimizer_step.weights)
    state = copy.deepcopy(optimizer_step.optimizer.state_dict()["state"])
    spoil(monkeypatch, change)
    with pytest.raises(TrainingError, match=rf"{message}.*step 1.*(left|right)\.png") as stopped:
        optimizer_step.step(samples, number=1, rate=1e-3, batch=1)
    assert "Lower the learning rate" in str(stopped.value)
    assert all(map(torch.equal, weights, optimizer_step.weights))
    for number, moments in optimizer_step.optimizer.state_dict()["state"].items():
        assert torch.equal(moments["exp_avg"], state[number]["exp_avg"])
        assert moments["step"] == state[number]["step"]


def test_overflowing_scaled_gradient_skips_the_step(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = torch.amp.GradScaler
    monkeypatch.setattr("torch.amp.GradScaler", lambda device, enabled: scaler(device))
    settings = make()
    optimizer_step = optimizer_step_of(settings)
    samples = samples_of(settings, 0)
    overflowing = [True, True, False]

    def scaled(total: Tensor, logits: Tensor) -> Tensor:
        return total + (logits * 0).sum().sqrt() if overflowing.pop(0) else total

    spoil(monkeypatch, scaled)
    before, scale = copies(optimizer_step.weights), optimizer_step.scaler.get_scale()
    for _ in range(2):
        loss, _ = optimizer_step.step(samples, number=0, rate=1e-3, batch=1)
        assert 0 < loss < 4
        assert all(map(torch.equal, before, optimizer_step.weights))
    assert optimizer_step.scaler.get_scale() == scale / 4
    optimizer_step.step(samples, number=2, rate=1e-3, batch=1)
    assert not all(map(torch.equal, before, optimizer_step.weights))


def test_persistent_float16_overflow_fails_with_advice(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = torch.amp.GradScaler
    monkeypatch.setattr("torch.amp.GradScaler", lambda device, enabled: scaler(device))
    settings = make()
    optimizer_step = optimizer_step_of(settings)
    samples = samples_of(settings, 0)
    spoil(monkeypatch, lambda total, logits: total + (logits * 0).sum().sqrt())
    for number in range(20):  # the scale is then a millionth of the initial one
        optimizer_step.step(samples, number=number, rate=1e-3, batch=1)
    with pytest.raises(TrainingError, match=r"gradient is (nan|inf).*precision float32"):
        optimizer_step.step(samples, number=20, rate=1e-3, batch=1)


def test_out_of_memory_is_explained_and_changes_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make()
    samples = samples_of(settings, 0, 1)
    undisturbed = optimizer_step_of(settings).step(samples, number=0, rate=1e-3, batch=1)
    optimizer_step = optimizer_step_of(settings)
    before = copies(optimizer_step.weights)
    calls = []

    def second_fails(total: Tensor, logits: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return total

    spoil(monkeypatch, second_fails)
    with pytest.raises(DeviceError, match=r"more memory than this computer.*low-memory"):
        optimizer_step.step(samples, number=0, rate=1e-3, batch=1)
    assert all(map(torch.equal, before, optimizer_step.weights))
    assert optimizer_step.step(samples, number=0, rate=1e-3, batch=1) == undisturbed


def test_out_of_memory_for_model_or_optimizer_is_explained(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    settings = make()
    optimizer_step = optimizer_step_of(settings)
    with monkeypatch.context() as patch:
        patch.setattr(optimizer_step.optimizer, "step", fail)
        # Not a DeviceError, for which the loop would repeat the step.
        with pytest.raises(TrainingError, match=r"AdamW needs more memory.*low-memory"):
            optimizer_step.step(samples_of(settings, 0), number=0, rate=1e-3, batch=1)
    monkeypatch.setattr("sam2lora.training.prompted_model.PromptedNetwork.to", fail)
    with pytest.raises(DeviceError, match=r"The model needs more memory.*choose a smaller model"):
        optimizer_step_of(settings)


def test_memory_advice_depends_on_remaining_options(make: Make) -> None:
    assert memory_advice(make(), 2) == "a smaller batch"
    assert "low-memory" in memory_advice(make(), 1)
    assert memory_advice(make(gradient_checkpointing=True), 1) == ""


def test_frozen_base_gets_no_gradient(make: Make) -> None:
    settings = make()
    trainable = make_trainable(settings)
    optimizer_step = optimizer_step_of(settings, trainable)
    optimizer_step.step(samples_of(settings, 0), number=0, rate=1e-3, batch=1)
    with_gradient = {
        name for name, weight in trainable.model.named_parameters() if weight.grad is not None
    }
    assert with_gradient
    assert all(".lora_" in name for name in with_gradient)
