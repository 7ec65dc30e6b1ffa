"""Verify that the fast path gives the same masks as plain float32, on DRIVE.

The fast path is the predictor as users have it: the default precision of the device, merged LoRA,
batches of windows, cached embeddings. The plain one uses float32, one window at a time, no cache,
and LoRA in PEFT's layers. Fails if their masks differ by 0.002 Dice or more on any image, or their
mean Dice against the reference does.

    python -m benchmarks.speed.same_masks DRIVE [--images 20] [--precision bfloat16]
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from sam2lora.adapters import choose_adapter
from sam2lora.adapters.lora import add_lora
from sam2lora.adapters.warm_start import start_from_adapter
from sam2lora.datasets import official_split, read_dataset
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.pipeline import load_predictor
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.metrics.segmentation import dice
from sam2lora.models.loading import load_base
from sam2lora.targets import get_target

LIMIT = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of DRIVE")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    target = get_target("vessel")
    fast = load_predictor(device=options.device, precision=options.precision)
    adapter = choose_adapter(fast.base.spec, fast.base.weights_sha256, target)
    if adapter is None:
        raise SystemExit("The package's adapter for vessels is missing.")
    fast.set_adapter(adapter)
    unmerged = load_base()
    start_from_adapter(add_lora(unmerged.network, adapter.card.lora), adapter)
    plain = Predictor(
        unmerged,
        device="cpu",
        precision="float32",
        cache=EmbeddingCache(0),
        batch=1,
        multimask_token=adapter.card.multimask_token,
    )
    print(f"fast: {fast.device}, {fast.precision}; plain: cpu, float32, LoRA not merged")
    differences, scores = [], []
    records = read_dataset(options.data).records
    for record in official_split(records, "test")[: options.images]:
        prepared = PreparedImage.of(record.read_image().pixels, field=record.read_field_of_view())
        reference = record.read_mask("vessel")
        masks = [
            predictor.predict(prepared, adapter.card.geometry).mask(adapter.card.threshold)
            for predictor in (fast, plain)
        ]
        field = prepared.field.mask
        differences.append(1 - dice(*masks, valid=field))
        scores.append([dice(mask, reference, valid=field) for mask in masks])
        fast_dice, plain_dice = scores[-1]
        print(
            f"{record.stem}: 1 - Dice {differences[-1]:.6f}; Dice {fast_dice:.5f}, {plain_dice:.5f}"
        )
    fast_dice, plain_dice = np.mean(scores, axis=0)
    print(f"largest difference {max(differences):.6f}; mean Dice {fast_dice:.5f}, {plain_dice:.5f}")
    sys.exit(1 if max(differences) >= LIMIT or abs(fast_dice - plain_dice) >= LIMIT else 0)


if __name__ == "__main__":
    main()
