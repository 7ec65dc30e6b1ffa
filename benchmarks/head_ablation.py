"""Ablation study of the detail head: short trainings of vessel heads on nano, an adapter frozen.

Each row has the same processor time, the same data, windows and seed. Validation is on separate
patients of each dataset, never on the test images. A row's result is written to OUT and not
computed again, so the script can be stopped and started again; `--only` does one row.

    OMP_NUM_THREADS=1 python benchmarks/head_ablation.py DATA OUT
    OMP_NUM_THREADS=1 python benchmarks/head_ablation.py DATA OUT --left-out CHASEDB1

DATA holds DRIVE, CHASEDB1 and HRF. A row takes two minutes on one CPU core. The frozen adapter is
nano-vessel without its head, or another one (`--start-from`). A rank can be cut, not raised: the
row of rank 14 needs an adapter of at least that.

With a dataset left out, its images are predicted by a head that saw none of them (nano and
nano-vessel did): at the threshold chosen on the other datasets, at the best one, and at each
image's own, where the Dice coefficient that the probabilities themselves expect is highest.
"""

import argparse
import copy
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from head_rows import ROWS, Row
from head_training import CPU, HeadTraining
from head_variants import variant_of
from numpy.typing import NDArray
from vessel_runs import vessel_sources

from sam2lora.adapters import Adapter, find_adapter
from sam2lora.adapters.lora import share_of
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.metrics.segmentation import dice
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import ORIENTATIONS, TrainingDataset
from sam2lora.training.frozen_network import FrozenNetwork
from sam2lora.training.lr_schedule import learning_rate
from sam2lora.training.optimizer_step import OptimizerStep, training_precision
from sam2lora.training.settings import TrainSettings, make_settings
from sam2lora.training.trainable import TrainableModel, make_trainable
from sam2lora.training.validation import (
    THRESHOLDS,
    ValidationImage,
    read_validation_images,
    validate,
)

UNSEEN_IMAGES = 6
DATASETS = {"CHASEDB1": "CHASE_DB1", "DRIVE": "DRIVE", "HRF": "HRF"}  # name by folder
UNSEEN = (
    "unseen at the threshold",
    "unseen at each image's own",
    "unseen at the best",
    "best threshold of the unseen",
)


class Study:
    """The data of all rows, read once."""

    def __init__(
        self, data: Path, seconds: float, seed: int, start: Adapter, left_out: str | None
    ) -> None:
        self.seconds = seconds
        # All rows start without a head, also where the adapter has one.
        self.start = replace(start, card=start.card.model_copy(update={"detail_head": None}))
        sources = vessel_sources(data)
        unseen = [source for source in sources if Path(source["root"]).name == left_out]
        self.shared = {
            "target": "vessel",
            "data": [source for source in sources if source not in unseen],
            "start_from": str(start.folder),
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
        trainable = make_trainable(settings, start=self.start)
        if row.kind == "lora":
            return self._run_lora(settings, trainable)
        network = trainable.base.network
        assert network.detail_head is not None
        head = variant_of(network.detail_head, row.kind, separable=row.separable)
        network.attach_detail_head(head)
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
        trial = HeadTraining(
            copy.deepcopy(head), settings, frozen, sharpness_aware=row.sharpness_aware
        )
        trial.processor_seconds(pool, steps=4)  # the first ones are slow
        second = trial.processor_seconds(pool, steps=16) / 16
        steps = max(1, int(self.seconds / second))
        training = HeadTraining(head, settings, frozen, sharpness_aware=row.sharpness_aware)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--seconds", type=float, default=70, help="processor time of a row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=ROWS, help="one row")
    parser.add_argument("--start-from", default="nano-vessel", help="name or folder of an adapter")
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
            study = study or Study(
                options.data,
                options.seconds,
                options.seed,
                find_adapter(options.start_from),
                options.left_out,
            )
            path.write_text(json.dumps(study.run(ROWS[name]), indent=1))
        found = json.loads(path.read_text())
        keys = ("dice", *DATASETS.values(), *of_unseen)
        figures = [f"{found[key]:.4f}" if key in found else "" for key in keys]
        counts = f"{found['weights']} | {found['samples']} | {found['seconds']:.0f}"
        print(f"| {name} | {counts} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
