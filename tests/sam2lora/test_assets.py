"""The weights and adapters of the package: they fit together, are documented, and work."""

from pathlib import Path

import pytest
import safetensors

from sam2lora.adapters import Adapter, default_adapter, list_adapters
from sam2lora.datasets import read_dataset
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, segment_prepared
from sam2lora.metrics import segmentation as metrics
from sam2lora.models.loading import LoadedModel, load_base
from sam2lora.models.registry import get_base
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.targets import FOVEA, TARGETS, get_target

pytestmark = pytest.mark.shipped

LIMIT = 12_000_000
"""Limit of the size of all weights together, in bytes."""

UNSEEN = 5000
"""Seed of a synthetic image that no model was trained on."""


@pytest.fixture
def base() -> LoadedModel:
    """Load the base model for each test, since a predictor merges its adapter into the network."""
    return load_base("nano")


@pytest.fixture
def shipped() -> list[Adapter]:
    return [adapter for adapter in list_adapters() if adapter.shipped]


def test_there_is_one_adapter_for_each_target(base: LoadedModel, shipped: list[Adapter]) -> None:
    names = ["nano-cup", "nano-disc", "nano-fovea", "nano-vessel"]
    assert sorted(adapter.name for adapter in shipped) == names
    for target in [*TARGETS.values(), FOVEA]:
        adapter = default_adapter(base.weights_sha256, target)
        assert adapter is not None
        assert adapter.name == f"nano-{target.name}"


def test_weights_are_small_and_in_half_precision(shipped: list[Adapter]) -> None:
    files = [get_base("nano").path, *(adapter.weights for adapter in shipped)]
    heads = [adapter.head_weights for adapter in shipped if adapter.card.detail_head]
    assert sum(path.stat().st_size for path in [*files, *heads]) <= LIMIT
    for path in files:
        with safetensors.safe_open(path, framework="np") as content:
            kinds = {content.get_slice(name).get_dtype() for name in content.keys()}  # noqa: SIM118
        assert kinds == {"F16"}
    assert all(adapter.card.share <= 5 for adapter in shipped)


def test_shipped_cards_are_complete(shipped: list[Adapter]) -> None:
    for adapter in shipped:
        card = adapter.card
        assert card.purpose
        assert card.limits
        assert card.results
        assert card.license == "research use"
        assert "terms" in card.data
        last = "vessel-head" if card.detail_head else card.target.name
        assert card.commands[-1].endswith(f"OUT {last}")
    page = get_base("nano").path.with_name("README.md").read_text(encoding="utf-8")
    for part in ("Limits", "Training data", "Results", "How to reproduce it", "medical device"):
        assert part in page


# The cup adapter was trained on real cups only, whose rims are softer than synthetic ones.
@pytest.mark.parametrize(("target", "least"), [("vessel", 0.6), ("disc", 0.8), ("cup", 0.45)])
def test_synthetic_image_is_segmented(base: LoadedModel, target: str, least: float) -> None:
    fundus = draw_fundus(UNSEEN, SyntheticSettings(size=700))
    predictor = Predictor(base, device="cpu", precision="float32")
    task = SegmentationTask.of(
        get_target(target), adapter=default_adapter(base.weights_sha256, get_target(target))
    )
    found = segment_prepared(predictor, PreparedImage.of(fundus.image), [task])[target]
    assert metrics.dice(found.mask, fundus.masks[target]) > least


def test_real_image_is_segmented(base: LoadedModel, real_data: Path) -> None:
    records = read_dataset(real_data / "DRIVE").records
    record = next(record for record in records if record.split == "test")
    fov = record.read_field_of_view()
    scene = PreparedImage.of(record.read_image().pixels, field=fov)
    task = SegmentationTask.of(
        get_target("vessel"), adapter=default_adapter(base.weights_sha256, get_target("vessel"))
    )
    predictor = Predictor(base, device="cpu", precision="float32")
    found = segment_prepared(predictor, scene, [task])["vessel"]
    assert metrics.dice(found.mask, record.read_mask("vessel"), valid=fov.mask) > 0.7
