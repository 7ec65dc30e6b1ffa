"""Sides of the questions about prediction: encoding, prompting, LoRA's share of a forward pass."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.speed.material import picture, random_adapter
from benchmarks.speed.questions import BenchmarkSettings
from benchmarks.speed.stock import stock_mask, stock_predictor
from sam2lora.adapters.lora import add_lora
from sam2lora.adapters.switching import AdapterManager
from sam2lora.compute.device import autocast, choose_device, choose_precision
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel, load_base
from sam2lora.models.sam2_image_model import normalize
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings, LoraSettings

Turn = Callable[[], object]

_WHOLE = GeometrySettings(detail="whole")


def encode_ours(settings: BenchmarkSettings) -> Turn:
    """Encode an image as our predictor does, from pixels to features on the device."""
    predictor, pixels = _predictor(settings), picture(settings.width, settings.height)

    def turn() -> None:
        predictor.encode(PreparedImage.of(pixels), _WHOLE)
        _wait(predictor.device)

    return turn


def encode_stock(settings: BenchmarkSettings) -> Turn:
    """Encode an image as stock SAM 2 does."""
    base, pixels = _base(settings), picture(settings.width, settings.height)
    predictor = stock_predictor(base.spec, base.network)

    def turn() -> None:
        predictor.set_image(pixels)
        _wait(base.network.device)

    return turn


def prompt_ours(settings: BenchmarkSettings) -> Turn:
    """Answer a click at a place that changes, to probabilities of each native pixel."""
    predictor = _predictor(settings, cache=EmbeddingCache())
    prepared = PreparedImage.of(picture(settings.width, settings.height))
    predictor.encode(prepared, _WHOLE)
    places = _places(settings)

    def turn() -> None:
        x, y = next(places)
        prompts = Prompts(points=(PointPrompt(x, y, positive=True),))
        predictor.predict(prepared, _WHOLE, prompts).mask(0.5)

    return turn


def prompt_stock(settings: BenchmarkSettings) -> Turn:
    """Answer a click as stock SAM 2 does: one mask of each native pixel, as ours."""
    base = _base(settings)
    predictor = stock_predictor(base.spec, base.network)
    predictor.set_image(picture(settings.width, settings.height))
    places = _places(settings)
    return lambda: stock_mask(predictor, next(places))


def forward_base(settings: BenchmarkSettings) -> Turn:
    """Look at an image and answer a click, without LoRA."""
    return _forward(settings, _base(settings))


def forward_merged(settings: BenchmarkSettings) -> Turn:
    """Do the same with LoRA merged into the weights."""
    base = _base(settings)
    with TemporaryDirectory() as folder:
        AdapterManager(base).activate(random_adapter(base, settings.rank, Path(folder) / "random"))
    return _forward(settings, base)


def forward_lora(settings: BenchmarkSettings) -> Turn:
    """Do the same with LoRA beside the weights, as while training."""
    base = _base(settings)
    add_lora(base.network, LoraSettings(rank=settings.rank))
    base.network.to(choose_device(settings.device))
    return _forward(settings, base)


def _forward(settings: BenchmarkSettings, base: LoadedModel) -> Turn:
    network, device = base.network, base.network.device
    precision = choose_precision(settings.precision, device)
    size = network.input_size
    pixels = normalize(picture(size, size)).unsqueeze(0).to(device)
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
    """Give a predictor with an adapter merged; without a cache, it encodes every time."""
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


def _places(settings: BenchmarkSettings) -> Iterator[tuple[float, float]]:
    """Give places in the middle of the image, so that no answer is there already."""
    for number in itertools.count():
        yield settings.width / 2 + number % 97 / 4, settings.height / 2 + number % 89 / 4


def _wait(device: torch.device) -> None:
    """Wait for a GPU, which computes on its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
