"""Ablation study of the detail head: short trainings of vessel heads on nano, nano-vessel frozen.

Each row has the same processor time, the same data, windows and seed. Validation is on separate
patients of each dataset, never on the test images. A row's result is written to OUT and not
computed again, so the script can be stopped and started again; `--only` does one row.

    OMP_NUM_THREADS=1 python benchmarks/head_ablation.py DATA OUT
    OMP_NUM_THREADS=1 python benchmarks/head_ablation.py DATA OUT --left-out CHASEDB1

DATA holds DRIVE, CHASEDB1 and HRF. A row takes two minutes on one CPU core. With a dataset left
out, its images are predicted by a head that saw none of them (nano and nano-vessel did): at the
threshold chosen on the other datasets, at the best one, and at each image's own, where the Dice
coefficient that the probabilities themselves expect is highest.
"""

import argparse
import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from vessel_runs import vessel_sources

from sam2lora.adapters.lora import share_of
from sam2lora.compute.device import autocast
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.losses.composite import composite_loss
from sam2lora.metrics.segmentation import dice
from sam2lora.models.detail_head import DetailHead
from sam2lora.models.sam2_image_model import DetailInputs, normalize
from sam2lora.training.data_loader import Batch, collate
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import ORIENTATIONS, TrainingDataset, TrainingSample
from sam2lora.training.frozen_network import FrozenNetwork
from sam2lora.training.lr_schedule import learning_rate
from sam2lora.training.optimizer_step import OptimizerStep, training_precision
from sam2lora.training.settings import TrainSettings, make_settings
from sam2lora.training.trainable import TrainableModel, find_start, make_trainable
from sam2lora.training.validation import (
    THRESHOLDS,
    ValidationImage,
    read_validation_images,
    validate,
)

CPU = torch.device("cpu")
RADIUS = 0.05  # of sharpness-aware steps, as in their paper
DECAY = 0.98  # of averaged weights
UNSEEN_IMAGES = 6
DATASETS = {"CHASEDB1": "CHASE_DB1", "DRIVE": "DRIVE", "HRF": "HRF"}  # name by folder
UNSEEN = (
    "unseen at the threshold",
    "unseen at each image's own",
    "unseen at the best",
    "best threshold of the unseen",
)


class Separable(nn.Sequential):
    """A depthwise convolution, then a pointwise one."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )


class Flat(DetailHead):
    """Convolutions at half the resolution alone, without the levels below."""

    def __init__(self, like: DetailHead, *, dilations: Sequence[int] = (1, 2, 4, 2)) -> None:
        super().__init__(like.settings, embedding_channels=like.embedding_channels)
        fine = like.settings.channels[0]
        self.flat = nn.Sequential(
            *(
                part
                for dilation in dilations
                for part in (
                    nn.Conv2d(fine, fine, 3, padding=dilation, dilation=dilation, bias=False),
                    nn.BatchNorm2d(fine),
                    nn.ReLU(),
                )
            )
        )
        fused = self.fuse.weight.shape[1] if self.fuse else 0
        self.fuse = nn.Conv2d(fused, fine, 1)
        for unused in ("middle_in", "middle", "coarse", "to_middle", "middle_out", "to_fine"):
            delattr(self, unused)

    def draw(self, half: Tensor, of_decoder: Tensor | None) -> Tensor:
        fine = self.fine_in(half)
        if of_decoder is not None and self.fuse is not None:
            fused = self.fuse(of_decoder)
            fine = fine + nn.functional.interpolate(fused, scale_factor=2, mode="bilinear")
        drawn: Tensor = self.last(self.fine_out(self.flat(fine)))
        return drawn


class Alone(DetailHead):
    """The same network without SAM 2: its logits are not even what the residual is added to."""

    def forward(self, images: Tensor, embedding: Tensor, logits: Tensor) -> Tensor:
        return super().forward(images, embedding, torch.zeros_like(logits))


def separable(head: DetailHead) -> None:
    """Replace every 3 × 3 convolution of a head but the first and the last by a separable one."""
    for name, block in list(head.named_modules()):
        convolution = block[0] if isinstance(block, nn.Sequential) else None
        if isinstance(convolution, nn.Conv2d) and name != "fine_in.0":
            block[0] = Separable(convolution.in_channels, convolution.out_channels)


@dataclass(frozen=True)
class Row:
    """What a row changes.

    Attributes
    ----------
    settings
        Changed training settings.
    kind
        Class of the head; "lora" trains LoRA, and the head with it if the settings have one.
    separable, sharpness, averaged
        Separable convolutions; sharpness-aware steps; validate the average of the weights.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "u"
    separable: bool = False
    sharpness: bool = False
    averaged: bool = False


def _inputs(*names: str) -> Mapping[str, Any]:
    return {"detail_head": {"inputs": names}}


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "default": Row(),
        "no head, LoRA alone at 1600": Row(
            {
                "freeze_network": False,
                "detail_head": None,
                "geometry": {"field_size": 1600},
                "augment": {"scale": (0.8, 1.2)},
                "optimizer": {"learning_rate": 3e-4},
                "batch": 2,
            },
            kind="lora",
        ),
        "LoRA and the head together": Row(
            {"freeze_network": False, "optimizer": {"learning_rate": 1e-3}, "batch": 2},
            kind="lora",
        ),
        "without contrast": Row(_inputs("embedding", "logits")),
        "without the embedding": Row(_inputs("contrast", "logits")),
        "without the logits as input": Row(_inputs("contrast", "embedding")),
        "without embedding and logits as inputs": Row(_inputs("contrast")),
        "the head alone, without SAM 2": Row(_inputs("contrast"), kind="alone"),
        "flat": Row(kind="flat"),
        "depthwise separable": Row(separable=True),
        "wider, 32-48-64": Row({"detail_head": {"channels": (32, 48, 64)}}),
        "averaged weights": Row(averaged=True),
        "sharpness-aware steps": Row(sharpness=True),
        "with soft-clDice": Row({"loss": {"weights": {"cldice": 1}}}),
        "cross-entropy not weighed more": Row({"loss": {"weights": {"bce": 1}}}),
        "cross-entropy alone": Row(
            {"loss": {"weights": {"bce": 4, "soft_dice": 0, "focal_tversky": 0}}}
        ),
        "LoRA cut to rank 4": Row({"lora": {"rank": 4}}),
        "LoRA of rank 14, 7.3 % in all": Row({"lora": {"rank": 14}}),
    }
)


class Study:
    """The data of all rows, read once."""

    def __init__(self, data: Path, seconds: float, seed: int, left_out: str | None) -> None:
        self.seconds = seconds
        sources = vessel_sources(data)
        unseen = [source for source in sources if Path(source["root"]).name == left_out]
        self.shared = {
            "target": "vessel",
            "data": [source for source in sources if source not in unseen],
            "start_from": "nano-vessel",
            "validation": {"share": 0.12, "images": 6},
            "variants": 2,
            "seed": seed,
            "device": "cpu",
        }
        plan = plan_data(self.settings(Row()))
        self.groups = plan.groups
        self.images: list[ValidationImage] = read_validation_images(plan.validation)
        self.unseen: list[ValidationImage] = []
        if unseen:
            (group,) = plan_data(self.settings(Row({"data": unseen}))).groups
            spread = group[:: max(1, len(group) // UNSEEN_IMAGES)][:UNSEEN_IMAGES]
            self.unseen = read_validation_images(spread)

    def settings(self, row: Row) -> TrainSettings:
        return make_settings("detail", self.shared, row.settings)

    def run(self, row: Row) -> dict[str, float]:
        """Train a row for its time; return its figures."""
        settings = self.settings(row)
        trainable = make_trainable(settings, start=find_start(settings))
        if row.kind == "lora":
            return self._run_lora(settings, trainable)
        network = trainable.base.network
        network.attach_detail_head(_head(network.detail_head, row))
        head = network.detail_head
        assert head is not None
        frozen = FrozenNetwork(
            network,
            settings,
            device=CPU,
            precision=training_precision(settings, CPU),
            embeddings=EmbeddingCache(0),
        )
        dataset = TrainingDataset(
            self.groups, settings, size=network.input_size, mask_size=network.mask_size
        )
        # What is frozen is computed beforehand: the time is that of the head.
        windows = sum(map(len, self.groups)) * settings.variants
        pool = [dataset.sample(number) for number in range(windows * ORIENTATIONS)]
        for sample in pool:
            frozen.detail_inputs([sample])
        trial = _Training(copy.deepcopy(head), settings, frozen, row)
        trial.processor_seconds(pool, steps=4)  # the first ones are slow
        second = trial.processor_seconds(pool, steps=16) / 16
        steps = max(1, int(self.seconds / second))
        training = _Training(head, settings, frozen, row)
        used = training.processor_seconds(pool, steps=steps)
        if row.averaged:
            training.use_average()
        return self._figures(settings, trainable, used, steps)

    def _run_lora(self, settings: TrainSettings, trainable: TrainableModel) -> dict[str, float]:
        """Train LoRA, and a head with it if there is one."""
        network, batch = trainable.base.network, settings.batch
        dataset = TrainingDataset(
            self.groups, settings, size=network.input_size, mask_size=network.mask_size
        )
        started = copy.deepcopy(trainable.tensors())
        training = OptimizerStep(trainable, settings, Accelerator(cpu=True), EmbeddingCache(0))
        steps, trial = 6, True
        while True:
            used = 0.0
            for step in range(steps):
                samples = [dataset.sample(step * batch + number) for number in range(batch)]
                rate, start = learning_rate(step, steps, settings.optimizer), time.process_time()
                training.step(samples, number=step, rate=rate, batch=batch)
                used += time.process_time() - start
            if not trial:
                return self._figures(settings, trainable, used, steps)
            steps, trial = int(self.seconds / used * steps), False
            trainable.load(started, "the start")
            training.optimizer.state.clear()

    def _figures(
        self, settings: TrainSettings, trainable: TrainableModel, used: float, steps: int
    ) -> dict[str, float]:
        """Validate, and return the figures of a row."""
        precision = training_precision(settings, CPU)
        result = validate(trainable.base, self.images, settings, precision=precision, batch=4)
        trained = [w.numel() for w in trainable.model.parameters() if w.requires_grad]
        datasets = {name.partition("/")[0] for name in result.per_image}
        unseen = self._of_unseen(settings, trainable, result.threshold) if self.unseen else {}
        return (
            unseen
            | {
                "weights": sum(trained),
                "share": share_of(sum(trained), trainable.model),
                "seconds": used,
                "samples": steps * settings.batch,
                "dice": result.dice,
                "threshold": result.threshold,
            }
            | {
                name: sum(v for key, v in result.per_image.items() if key.startswith(name))
                / sum(key.startswith(name) for key in result.per_image)
                for name in sorted(datasets)
            }
        )

    def _of_unseen(
        self, settings: TrainSettings, trainable: TrainableModel, threshold: float
    ) -> dict[str, float]:
        """Return the mean Dice of the dataset left out, by the choice of the threshold."""
        predictor = Predictor(trainable.base, device="cpu", cache=EmbeddingCache(0))
        geometry = settings.geometry_for("vessel")
        scores = []
        for image in self.unseen:
            probabilities = predictor.predict(image.prepared, geometry).probabilities
            own = expected_dice_threshold(probabilities[image.valid])
            scores.append(
                [
                    dice(probabilities >= value, image.reference, valid=image.valid)
                    for value in (threshold, own, *THRESHOLDS)
                ]
            )
        means = np.mean(scores, axis=0)
        best = int(means[2:].argmax())
        figures = (means[0], means[1], means[2 + best], THRESHOLDS[best])
        return dict(zip(UNSEEN, map(float, figures), strict=True))


def expected_dice_threshold(probabilities: NDArray[np.float32]) -> float:
    """Return the threshold at which the Dice that probabilities expect of themselves is highest.

    It is exact where they are calibrated and independent: Lipton, Elkan, Naryanaswamy: "Optimal
    Thresholding of Classifiers to Maximize F1 Measure", ECML PKDD 2014.
    """
    ordered = np.sort(probabilities.ravel())[::-1].astype(np.float64)
    expected = 2 * ordered.cumsum() / (np.arange(1, ordered.size + 1) + ordered.sum())
    return float(ordered[expected.argmax()])


class _Training:
    """The training of a head on frozen outputs."""

    def __init__(
        self, head: DetailHead, settings: TrainSettings, frozen: FrozenNetwork, row: Row
    ) -> None:
        self._head, self._settings, self._frozen, self._row = head, settings, frozen, row
        self._weights = [weight.requires_grad_() for weight in head.parameters()]
        rate = settings.optimizer
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=rate.learning_rate, weight_decay=rate.weight_decay, fused=True
        )
        self._average = [weight.detach().clone() for weight in self._weights]

    def processor_seconds(self, pool: Sequence[TrainingSample], *, steps: int) -> float:
        """Train some steps; return the processor time they took."""
        self._head.train()
        started, batch = time.process_time(), self._settings.batch
        for step in range(steps):
            rate = learning_rate(step, steps, self._settings.optimizer)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            first = step * batch
            self._step([pool[(first + number) % len(pool)] for number in range(batch)])
        return time.process_time() - started

    def use_average(self) -> None:
        """Replace the weights by their average over the last steps."""
        with torch.no_grad():
            for weight, average in zip(self._weights, self._average, strict=True):
                weight.copy_(average)

    def _step(self, samples: Sequence[TrainingSample]) -> None:
        inputs = self._frozen.detail_inputs(samples)
        batch = collate(samples, CPU, features=inputs)
        self._backward(batch)
        if self._row.sharpness:
            shifts = self._climb()
            self._backward(batch)
            with torch.no_grad():
                for weight, shift in zip(self._weights, shifts, strict=True):
                    weight.sub_(shift)
        torch.nn.utils.clip_grad_norm_(self._weights, self._settings.optimizer.clip)
        self._optimizer.step()
        torch._foreach_lerp_(self._average, [w.detach() for w in self._weights], 1 - DECAY)

    def _backward(self, batch: Batch) -> None:
        self._optimizer.zero_grad()
        inputs = batch.images
        assert isinstance(inputs, DetailInputs)
        with autocast(CPU, training_precision(self._settings, CPU)):
            logits = self._head(normalize(inputs.pixels), inputs.embedding, inputs.low_res_logits)
        loss = composite_loss(
            logits, inputs.iou, batch.target, self._settings.loss, valid=batch.valid
        )
        loss.total.backward()

    @torch.no_grad()
    def _climb(self) -> list[Tensor]:
        """Move the weights to where the loss is highest nearby; return the shifts."""
        gradients = [weight.grad for weight in self._weights]
        norm = torch.linalg.vector_norm(
            torch.stack([g.norm() for g in gradients if g is not None])
        ).clamp(min=1e-12)
        shifts = []
        for weight, gradient in zip(self._weights, gradients, strict=True):
            shift = torch.zeros_like(weight) if gradient is None else gradient * (RADIUS / norm)
            weight.add_(shift)  # undone after the second gradient
            shifts.append(shift)
        return shifts


def _head(new: DetailHead | None, row: Row) -> DetailHead:
    assert new is not None
    if row.kind == "flat":
        new = Flat(new)
    elif row.kind == "alone":
        alone = Alone(new.settings, embedding_channels=new.embedding_channels)
        alone.load_state_dict(new.state_dict())
        new = alone
    if row.separable:
        separable(new)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--seconds", type=float, default=70, help="processor time of a row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=ROWS, help="one row")
    parser.add_argument("--left-out", choices=DATASETS, help="a dataset not to learn from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    study: Study | None = None
    of_unseen = UNSEEN if options.left_out else ()
    columns = ["row", "weights", "samples", "seconds", "Dice", *DATASETS.values(), *of_unseen]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in [options.only] if options.only else ROWS:
        title = f"{name.replace(' ', '-').replace(',', '')}-{options.seed}"
        if options.left_out:
            title += f"-without-{options.left_out}"
        path = options.out / f"{title}.json"
        if not path.exists():
            study = study or Study(options.data, options.seconds, options.seed, options.left_out)
            path.write_text(json.dumps(study.run(ROWS[name]), indent=1))
        found = json.loads(path.read_text())
        keys = ("dice", *DATASETS.values(), *of_unseen)
        figures = [f"{found[key]:.4f}" if key in found else "" for key in keys]
        counts = f"{found['weights']} | {found['samples']} | {found['seconds']:.0f}"
        print(f"| {name} | {counts} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
