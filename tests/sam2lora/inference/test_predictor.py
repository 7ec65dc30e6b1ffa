"""Encode once, prompt many times: the network nano with random weights, on small images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.morphology import convex_hull_image

from sam2lora.compute.device import choose_precision, release_memory
from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.postprocessing import LEVELS
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage, windows_of
from sam2lora.models.loading import LoadedModel, load_base, random_base
from sam2lora.models.normalization import normalize
from sam2lora.prompts.prompt_batch import PromptBatch, mask_to_logits
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings, PrecisionChoice
from sam2lora.transforms.zoom import BoundingBox

WHOLE, TILES = GeometrySettings(detail="whole"), GeometrySettings(detail="tiles", field_size=760)
ZOOM = GeometrySettings(detail="zoom")
ROWS, COLUMNS = np.ogrid[:300, :360]


@pytest.fixture(scope="module")
def nano() -> LoadedModel:
    return random_base("nano")


@pytest.fixture
def predictor(nano: LoadedModel) -> Predictor:
    return Predictor(nano, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def prepared() -> PreparedImage:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 360, 3), dtype=np.uint8)
    field = FieldOfView(np.hypot(COLUMNS - 180, ROWS - 150) <= 140, (180, 150), 280)
    return PreparedImage.of(pixels, field=field)


@contextmanager
def counting(nano: LoadedModel) -> Iterator[dict[str, int]]:
    """Count the windows that pass the encoder and the decoder."""
    seen = {"encoded": 0, "decoded": 0}

    def encoded(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        seen["encoded"] += len(inputs[0])

    def decoded(_: object, __: object, inputs: dict[str, torch.Tensor]) -> None:
        seen["decoded"] += len(inputs["sparse_prompt_embeddings"])

    hooks = [
        nano.network.image_encoder.register_forward_pre_hook(encoded),
        nano.network.sam_mask_decoder.register_forward_pre_hook(decoded, with_kwargs=True),
    ]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("geometry", [WHOLE, TILES, ZOOM], ids=["whole", "tiles", "zoom"])
def test_predictions_are_native_probabilities_inside_the_field(
    predictor: Predictor, prepared: PreparedImage, geometry: GeometrySettings
) -> None:
    prediction = predictor.predict(prepared, geometry)
    assert prediction.probabilities.shape == (300, 360)
    assert prediction.probabilities.dtype == np.float32
    assert (prediction.probabilities[~prepared.field.mask] == 0).all()
    assert 0 < prediction.probabilities.max() < 1
    assert 0 <= prediction.iou <= 1
    assert not prediction.mask(0.01)[~prepared.field.mask].any()


def test_prediction_at_input_size_equals_the_network_output(
    nano: LoadedModel, predictor: Predictor
) -> None:
    """An image of the size of the network's input is not resampled."""
    pixels = np.random.default_rng(1).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    field = FieldOfView(np.ones((512, 512), bool), (255.5, 255.5), 512)
    painted = np.zeros((512, 512), bool)
    painted[100:200, 120:300] = True
    prompts = Prompts(
        (PointPrompt(200, 150), PointPrompt(40, 400, positive=False)), (90, 80, 310, 220), painted
    )
    geometry = GeometrySettings(margin=0)
    prediction = predictor.predict(PreparedImage.of(pixels, field=field), geometry, prompts)
    with torch.inference_mode():
        direct = nano.network(
            normalize(pixels[None]),
            PromptBatch.single(
                points=[(200, 150), (40, 400)],
                labels=[1, 0],
                box=(90, 80, 310, 220),
                mask_logits=mask_to_logits(torch.from_numpy(painted)[None, None], size=128)[0, 0],
            ),
        )
        logits = torch.nn.functional.interpolate(direct.logits, size=(512, 512), mode="bilinear")
    np.testing.assert_allclose(prediction.probabilities, logits.sigmoid()[0, 0], atol=2e-5)
    assert prediction.iou == pytest.approx(float(direct.iou[0, 0].clamp(0, 1)), abs=1e-5)


def test_image_is_encoded_once_for_several_prompts(
    nano: LoadedModel, predictor: Predictor, prepared: PreparedImage
) -> None:
    with counting(nano) as seen:
        predictor.encode(prepared, WHOLE)
        for x in range(100, 200, 20):
            predictor.predict(prepared, WHOLE, Prompts((PointPrompt(x, 150),)))
    assert seen == {"encoded": 1, "decoded": 5}


def test_tiles_without_prompt_are_not_decoded_again(
    nano: LoadedModel, predictor: Predictor, prepared: PreparedImage
) -> None:
    tiles = windows_of(prepared, TILES, 512)
    before = predictor.predict(prepared, TILES)
    point = Prompts((PointPrompt(70, 120),))
    touched = [tile for tile in tiles if point.within(tile).points]
    with counting(nano) as seen:
        after = predictor.predict(prepared, TILES, point)
    assert seen == {"encoded": 0, "decoded": len(touched)}
    assert 0 < len(touched) < len(tiles)
    changed = np.nonzero((before.probabilities != after.probabilities).any(axis=0))[0]
    assert changed.max() <= max(tile.left + tile.width for tile in touched)


def test_every_kind_of_prompt_changes_the_prediction(
    predictor: Predictor, prepared: PreparedImage
) -> None:
    painted = np.hypot(COLUMNS - 180, ROWS - 150) <= 30
    kinds = [
        Prompts(),
        Prompts((PointPrompt(180, 150),)),
        Prompts((PointPrompt(180, 150), PointPrompt(90, 150, positive=False))),
        Prompts(box=(100, 100, 200, 200)),
        Prompts(mask=painted),
    ]
    predictions = [predictor.predict(prepared, WHOLE, prompts).probabilities for prompts in kinds]
    for number, prediction in enumerate(predictions):
        for other in predictions[:number]:
            assert np.abs(prediction - other).max() > 1e-4


def test_cropped_mode_predicts_inside_the_crop_only(
    nano: LoadedModel, predictor: Predictor, prepared: PreparedImage
) -> None:
    box = (170, 140, 200, 170)
    with counting(nano) as seen:
        prediction = predictor.predict(prepared, ZOOM, Prompts(box=box))
    assert seen == {"encoded": 2, "decoded": 2}
    rows, columns = np.nonzero(prediction.probabilities)
    assert rows.min() > 80
    assert columns.max() < 260
    assert prediction.probabilities[155, 185] > 0


@pytest.mark.parametrize(("again", "looks"), [(False, 2), (True, 3)])
def test_crop_that_was_wrong_is_looked_at_again(
    nano: LoadedModel,
    prepared: PreparedImage,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
    looks: int,
) -> None:
    module = "sam2lora.inference.predictor.needs_another_look"
    monkeypatch.setattr(module, lambda crop, expected, found: again)
    predictor = Predictor(nano, device="cpu", precision="float32")
    geometry = ZOOM.model_copy(update={"zoom_extent": 2.5})
    steps: list[tuple[float, int]] = []
    with counting(nano) as seen:
        predictor.predict(prepared, geometry, progress=lambda *step: steps.append(step))
    assert seen == {"encoded": looks, "decoded": looks}
    assert steps[-1] == (6, 6)  # skipped ones count as done


def test_outer_target_replaces_the_look_at_the_field(
    nano: LoadedModel, prepared: PreparedImage
) -> None:
    predictor = Predictor(nano, device="cpu", precision="float32")
    geometry = ZOOM.model_copy(update={"zoom_extent": 2.0})
    with counting(nano) as seen:
        prediction = predictor.predict(prepared, geometry, inside=BoundingBox(150, 120, 210, 180))
    assert seen == {"encoded": 1, "decoded": 1}
    rows, columns = np.nonzero(prediction.probabilities)
    assert np.ptp(rows) <= 125
    assert np.ptp(columns) <= 125


@pytest.mark.parametrize("geometry", [WHOLE, ZOOM])
def test_convex_prediction_has_no_dents(
    prepared: PreparedImage, geometry: GeometrySettings
) -> None:
    trained = Predictor(load_base("nano"), device="cpu", precision="float32")
    prompts = Prompts(box=(120.0, 90.0, 250.0, 220.0))  # noise has many components
    missing = {}
    for convex in (False, True):
        changed = geometry.model_copy(update={"convex": convex})
        prediction = trained.predict(prepared, changed, prompts).probabilities
        masks = [prediction >= level for level in LEVELS if (prediction >= level).sum() > 30]
        dents = [convex_hull_image(mask) & prepared.field.mask & ~mask for mask in masks]
        missing[convex] = np.mean(
            [dent.sum() / mask.sum() for dent, mask in zip(dents, masks, strict=True)]
        )
    assert missing[False] > 2
    assert missing[True] < 0.4  # few pixels at the edge


def test_point_stays_in_a_convex_prediction(predictor: Predictor, prepared: PreparedImage) -> None:
    whole = WHOLE.model_copy(update={"convex": True})
    point = Prompts((PointPrompt(120.0, 140.0),))
    plain = predictor.predict(prepared, WHOLE, point).probabilities
    convex = predictor.predict(prepared, whole, point).probabilities
    assert convex[140, 120] == pytest.approx(plain[140, 120], abs=0.05)


def test_tiled_prediction_ignores_convex(predictor: Predictor, prepared: PreparedImage) -> None:
    plain = predictor.predict(prepared, TILES).probabilities
    convex = predictor.predict(prepared, TILES.model_copy(update={"convex": True})).probabilities
    np.testing.assert_array_equal(convex, plain)


def test_encoding_can_be_stopped_between_tiles_and_resumed(
    nano: LoadedModel, prepared: PreparedImage
) -> None:
    class StopError(Exception):
        pass

    def stop_after_one(done: int, total: int) -> None:
        if done == 1:
            raise StopError

    predictor = Predictor(nano, device="cpu", precision="float32", batch=1)
    with pytest.raises(StopError):
        predictor.encode(prepared, TILES, progress=stop_after_one)
    steps: list[tuple[int, int]] = []
    predictor.encode(prepared, TILES, progress=lambda done, total: steps.append((done, total)))
    total = len(windows_of(prepared, TILES, 512))
    assert steps == [(done, total) for done in range(1, total + 1)]


def test_decoding_can_be_stopped_between_tiles_and_resumed(
    nano: LoadedModel, prepared: PreparedImage
) -> None:
    class StopError(Exception):
        pass

    predictor = Predictor(nano, device="cpu", precision="float32", batch=1)
    predictor.encode(prepared, TILES)
    tiles = len(windows_of(prepared, TILES, 512))

    def stop_after_one(done: int, total: int) -> None:
        assert total == 2 * tiles
        if done == tiles + 1:
            raise StopError

    with counting(nano) as seen, pytest.raises(StopError):
        predictor.predict(prepared, TILES, progress=stop_after_one)
    assert seen == {"encoded": 0, "decoded": 1}
    with counting(nano) as seen:
        predictor.predict(prepared, TILES)
    assert seen == {"encoded": 0, "decoded": tiles - 1}


@pytest.mark.parametrize("geometry", [WHOLE, TILES, ZOOM], ids=["whole", "tiles", "zoom"])
def test_progress_of_a_prediction_is_monotonic_and_complete(
    predictor: Predictor, prepared: PreparedImage, geometry: GeometrySettings
) -> None:
    """At first, with everything cached, and with a prompt that decodes some windows again."""
    steps: list[tuple[int, int]] = []
    for prompts in (Prompts(), Prompts(), Prompts((PointPrompt(150, 120),))):
        steps.clear()
        predictor.predict(
            prepared, geometry, prompts, progress=lambda done, total: steps.append((done, total))
        )
        assert steps == sorted(steps)
        assert {total for _, total in steps} == {steps[-1][0]}


def test_points_outside_the_field_are_refused(
    predictor: Predictor, prepared: PreparedImage
) -> None:
    with pytest.raises(GeometryError, match="outside the field of view"):
        predictor.predict(prepared, WHOLE, Prompts((PointPrompt(3, 3),)))


def test_bfloat16_is_close_to_float32(nano: LoadedModel, prepared: PreparedImage) -> None:
    exact, fast = (
        Predictor(nano, device="cpu", precision=precision).predict(prepared, WHOLE).probabilities
        for precision in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - fast).max() < 0.05


def test_precision_is_chosen_by_the_device() -> None:
    assert choose_precision("auto", torch.device("cpu")) in ("float32", "bfloat16")


def test_point_on_a_single_mask_base_uses_the_trained_mask(
    nano: LoadedModel, prepared: PreparedImage
) -> None:
    """SAM 2 takes the best of three masks for one point; our training trains only one mask."""
    point = Prompts((PointPrompt(180, 150),))
    both = Prompts((PointPrompt(180, 150),), mask=prepared.field.mask)
    ours = replace(nano, single_mask=True)
    of_three = Predictor(nano, device="cpu", precision="float32").predict(prepared, WHOLE, point)
    single = Predictor(ours, device="cpu", precision="float32").predict(prepared, WHOLE, point)
    assert np.abs(of_three.probabilities - single.probabilities).max() > 1e-3
    for prompts in (both, Prompts()):
        one, other = (
            Predictor(base, device="cpu", precision="float32").predict(prepared, WHOLE, prompts)
            for base in (nano, ours)
        )
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


@pytest.mark.gpu
@pytest.mark.parametrize("geometry", [WHOLE, TILES], ids=["whole", "tiles"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.05)])
def test_gpu_predictions_equal_those_of_the_cpu(
    prepared: PreparedImage,
    geometry: GeometrySettings,
    precision: PrecisionChoice,
    tolerance: float,
) -> None:
    on_cpu = Predictor(random_base("nano"), device="cpu", precision="float32")
    on_gpu = Predictor(random_base("nano"), device="cuda", precision=precision)
    points = (PointPrompt(180, 150), PointPrompt(90, 150, positive=False))
    for prompts in (Prompts(), Prompts(points), Prompts(box=(100, 100, 200, 200))):
        expected, found = (one.predict(prepared, geometry, prompts) for one in (on_cpu, on_gpu))
        assert np.abs(expected.probabilities - found.probabilities).max() < tolerance
        assert found.iou == pytest.approx(expected.iou, abs=tolerance)


@pytest.mark.gpu
def test_gpu_memory_is_freed_with_the_predictor(prepared: PreparedImage) -> None:
    device = torch.device("cuda")

    def allocated() -> int:
        release_memory(device)
        return torch.cuda.memory_allocated(device)

    def work() -> None:
        predictor = Predictor(random_base("nano"), device="cuda")
        predictor.predict(prepared, TILES)
        assert torch.cuda.memory_allocated(device) > 10_000_000

    work()  # from now on, the memory of CUDA's libraries is allocated
    before = allocated()
    work()
    assert allocated() == before
