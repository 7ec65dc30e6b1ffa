"""Measure on a GPU, unattended, into one JSON: ratios, training memory by rank, batch prediction.

    python -m benchmarks.speed.gpu OUT.json [--device cuda]

All models but nano have random weights, so nothing is downloaded. Each part is written when it is
done; if one fails, for example out of memory, its error is written and the script continues. Our
sides compute in bfloat16 if the GPU supports it, the peers in float32.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkSettings
from benchmarks.speed.material import sample_image, usable_base
from benchmarks.speed.rounds import run_benchmark
from sam2lora.errors import Sam2LoraError
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import load_base
from sam2lora.settings import GeometrySettings
from sam2lora.utils.files import atomic_path

BASES = ("tiny", "base_plus", "large")
RANKS = (4, 8, 16, 32, 64, 128, 256)
PRESETS = ("standard", "low-memory")
BATCHES = (1, 4, 16)
GEOMETRIES = ("whole", "tiles")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--bases", nargs="+", default=BASES)
    parser.add_argument("--ranks", nargs="+", type=int, default=RANKS)
    parser.add_argument("--images", type=int, default=40, help="images for batch prediction")
    options = parser.parse_args()
    default = BenchmarkSettings(device=options.device, rounds=options.rounds)
    results: dict[str, object] = {}
    if options.device.startswith("cuda"):
        results["device"] = torch.cuda.get_device_name(options.device)

    def record(key: str, measure: Callable[[], object]) -> None:
        try:
            results[key] = measure()
        except Sam2LoraError as error:
            results[key] = {"error": str(error)}
        print(f"{key}: {json.dumps(results[key])[:200]}", flush=True)
        with atomic_path(options.out) as temporary:
            temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    for base in ("nano", *options.bases):
        settings = default.model_copy(update={"base": base})
        for benchmark in BENCHMARKS:
            record(
                f"{benchmark}/{base}",
                lambda benchmark=benchmark, settings=settings: run_benchmark(
                    benchmark, settings
                ).model_dump(mode="json"),
            )
        for geometry in GEOMETRIES:
            for batch in BATCHES:
                record(
                    f"predict/{base}/{geometry}/batch {batch}",
                    lambda base=base, geometry=geometry, batch=batch: images_per_second(
                        base, geometry, batch, options.images, options.device
                    ),
                )
    for base in options.bases:
        for rank in options.ranks:
            settings = default.model_copy(update={"base": base, "rank": rank, "rounds": 3})
            for preset in PRESETS:
                record(
                    f"memory/{base}/rank {rank}/{preset}",
                    lambda preset=preset, settings=settings: run_benchmark(
                        "train", settings, only=[preset]
                    ).model_dump(mode="json"),
                )


def images_per_second(base: str, geometry: str, batch: int, images: int, device: str) -> float:
    """Measure the rate of segmenting images without prompts, without reading files."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_base(usable_base(base, Path(folder)))
    predictor = Predictor(loaded, device=device, batch=batch, cache=EmbeddingCache(0))
    geometry_settings = GeometrySettings(detail=geometry)
    pixels = sample_image(1444, 1444)
    predictor.predict(PreparedImage.of(pixels), geometry_settings)
    started = time.perf_counter()
    for number in range(images):
        pixels[0, 0] = number % 256  # a different image, so that nothing is cached
        predictor.predict(PreparedImage.of(pixels), geometry_settings)
    return images / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
