"""Dice and processor time of vessel adapters at several sizes of the field of view.

Scores the validation patients of DRIVE, CHASE_DB1 and HRF, never the test images, without prompts,
at the threshold of each adapter's card and at the best one. All choices take turns on each image,
so that they share the machine's good and bad times.

    OMP_NUM_THREADS=1 python benchmarks/field_sizes.py DATA nano-vessel RUN RUN:880 RUN:1240+1600

DATA holds DRIVE, CHASEDB1 and HRF. A choice is the name or folder of an adapter or a run, and
optionally field sizes; several are averaged.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from vessel_runs import vessel_sources

from sam2lora.adapters import Adapter, find_adapter
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import windows_of
from sam2lora.inference.tta import flip_image, predict_augmented
from sam2lora.metrics.segmentation import dice
from sam2lora.models.loading import load_base
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.training.data_split import plan_data
from sam2lora.training.settings import make_settings
from sam2lora.training.validation import THRESHOLDS, read_validation_images


class Choice(NamedTuple):
    """An adapter and the field sizes that it predicts at; without any, its own."""

    name: str
    adapter: Adapter
    sizes: tuple[int, ...]


def parse(text: str) -> Choice:
    name, _, sizes = text.partition(":")
    return Choice(text, find_adapter(name), tuple(int(size) for size in sizes.split("+") if size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("choices", nargs="+", type=parse, metavar="ADAPTER[:SIZE[+SIZE]]")
    options = parser.parse_args()
    choices: list[Choice] = options.choices
    validation = {"share": 0.12, "images": 6}
    shared = {"target": "vessel", "data": vessel_sources(options.data), "validation": validation}
    images = read_validation_images(plan_data(make_settings("standard", shared)).validation)
    predictors = []
    for choice in choices:  # one for each, so that none waits for another's adapter
        predictor = Predictor(load_base("nano"), device="cpu", cache=EmbeddingCache(0))
        predictor.set_adapter(choice.adapter)
        predictors.append(predictor)
    seconds: list[list[float]] = [[] for _ in choices]
    windows: list[list[int]] = [[] for _ in choices]
    scores = np.zeros((len(choices), len(images), len(THRESHOLDS) + 1))
    # Other pixels than those that count: a predictor keeps what it predicted.
    warm_up = replace(
        images[0], prepared=flip_image(images[0].prepared, sideways=True, upside_down=False)
    )
    for number, image in enumerate([warm_up, *images]):
        for row, (choice, predictor) in enumerate(zip(choices, predictors, strict=True)):
            card = choice.adapter.card
            started = time.process_time()
            probabilities = predict_augmented(
                *(predictor, image.prepared, card.geometry, Prompts()), field_sizes=choice.sizes
            ).probabilities
            used = time.process_time() - started
            if number == 0:
                continue
            seconds[row].append(used)
            windows[row].append(
                sum(
                    len(windows_of(image.prepared, geometry, predictor.base.network.input_size))
                    for geometry in card.geometry.with_field_sizes(choice.sizes)
                )
            )
            for column, threshold in enumerate((card.threshold, *THRESHOLDS)):
                mask = probabilities >= threshold
                scores[row, number - 1, column] = dice(mask, image.reference, valid=image.valid)
    print("| adapter | tiles | s an image | of the first | Dice | best threshold | Dice there |")
    print("|---|---|---|---|---|---|---|")
    for row, choice in enumerate(choices):
        means = scores[row].mean(axis=0)
        best = int(means[1:].argmax())
        ratio = statistics.median(
            own / first for own, first in zip(seconds[row], seconds[0], strict=True)
        )
        print(
            f"| {choice.name} | {statistics.mean(windows[row]):.0f} "
            f"| {statistics.mean(seconds[row]):.2f} | {ratio:.2f} | {means[0]:.4f} "
            f"| {THRESHOLDS[best]} | {means[1 + best]:.4f} |"
        )


if __name__ == "__main__":
    main()
