"""Sides of the prediction benchmarks: encoding, prompting, and the cost of LoRA."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.speed.definitions import BenchmarkSettings
from benchmarks.speed.material import random_adapter, sample_image
from benchmarks.speed.stock import stock_mask, stock_predictor
from sam2lora.adapters.lora import add_lora
from sam2lora.adapters.switching import AdapterManager
from sam2lora.compute.device import autocast, choose_device, choose_precision
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel, load_base
from sam2lora.models.normalization import normalize
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings, LoraSettings

Turn = Callable[[], object]

_WHOLE = GeometrySettings(detail="whole")


def encode_ours(settings: BenchmarkSettings) -> Turn:
    """Prepare encoding an image with our predictor, from pixels to embedding on the device."""
    predictor, pixels = _predictor(settings), sample_image(settings.width, settings.height)

    def turn() -> None:
        predictor.encode(PreparedImage.of(pixels), _WHOLE)
        _wait(predictor.device)

    return turn


def encode_stock(settings: BenchmarkSettings) -> Turn:
    """Prepare encoding an image with stock SAM 2."""
    base, pixels = _base(settings), sample_image(settings.width, settings.height)
    predictor = stock_predictor(base.spec, base.network)

    def turn() -> None:
        predictor.set_image(pixels)
        _wait(base.network.device)

    return turn


def prompt_ours(settings: BenchmarkSettings) -> Turn:
    """Prepare predicting a changing point, to probabilities at native resolution."""
    predictor = _predictor(settings, cache=EmbeddingCache())
    prepared = PreparedImage.of(sample_image(settings.width, settings.height))
    predictor.encode(prepared, _WHOLE)
    points = _points(settings)

    def turn() -> None:
        x, y = next(points)
        prompts = Prompts(points=(PointPrompt(x, y, positive=True),))
        predictor.predict(prepared, _WHOLE, prompts).mask(0.5)

    return turn


def prompt_stock(settings: BenchmarkSettings) -> Turn:
    """Prepare predicting a changing point with stock SAM 2, to a mask at native resolution."""
    base = _base(settings)
    predictor = stock_predictor(base.spec, base.network)
    predictor.set_image(sample_image(settings.width, settings.height))
    points = _points(settings)
    return lambda: stock_mask(predictor, next(points))


def forward_base(settings: BenchmarkSettings) -> Turn:
    """Prepare a forward pass of an image and a point, without LoRA."""
    return _forward(settings, _base(settings))


def forward_merged(settings: BenchmarkSettings) -> Turn:
    """Prepare the forward pass with LoRA merged into the weights."""
    base = _base(settings)
    with TemporaryDirectory() as folder:
        AdapterManager(base).activate(random_adapter(base, settings.rank, Path(folder) / "random"))
    return _forward(settings, base)


def forward_lora(settings: BenchmarkSettings) -> Turn:
    """Prepare the forward pass with LoRA in separate layers, as in training."""
    base = _base(settings)
    add_lora(base.network, LoraSettings(rank=settings.rank))
    base.network.to(choose_device(settings.device))
    return _forward(settings, base)


def _forward(settings: BenchmarkSettings, base: LoadedModel) -> Turn:
    network, device = base.network, base.network.device
    precision = choose_precision(settings.precision, device)
    size = network.input_size
    pixels = normalize(sample_image(size, size)).unsqueeze(0).to(device)
    prompts = PromptBatch.single(points=[[size / 2, size / 2]], labels=[1]).to(device)

    @torch.inference_mode()
    def turn() -> None:
        with autocast(device, precision):
            network(pixels, prompts)
        _wait(device)

    return turn


def _base(settings: BenchmarkSettings) -> LoadedModel:
    base = load_base(settings.base)
    base.network.to(choose_device(settings.device))
    return base


def _predictor(settings: BenchmarkSettings, *, cache: EmbeddingCache | None = None) -> Predictor:
    """Return a predictor with a merged adapter; without a cache, it encodes every time."""
    base = load_base(settings.base)
    predictor = Predictor(
        base,
        device=settings.device,
        precision=settings.precision,
        cache=cache or EmbeddingCache(0),
    )
    with TemporaryDirectory() as folder:
        predictor.set_adapter(random_adapter(base, settings.rank, Path(folder) / "random"))
    return predictor


def _points(settings: BenchmarkSettings) -> Iterator[tuple[float, float]]:
    """Yield changing points in the middle of the image, so that no prediction is cached."""
    for number in itertools.count():
        yield settings.width / 2 + number % 97 / 4, settings.height / 2 + number % 89 / 4


def _wait(device: torch.device) -> None:
    """Wait for a GPU, which computes asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
