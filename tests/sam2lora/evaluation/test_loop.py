"""Evaluation: known predictions get known scores, prompts repeat, failures stop nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2lora.compute.workers import Cluster
from sam2lora.datasets import read_dataset
from sam2lora.errors import AdapterError, DatasetError, SettingsError, TargetError
from sam2lora.evaluation import Case, EvaluateSettings, evaluate, evaluate_grader
from sam2lora.inference.pipeline import load_predictor
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.sampling import REGIMES
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import GeometrySettings
from sam2lora.targets import TARGETS
from sam2lora.utils.progress import no_progress

from .conftest import FIELD, INSIDE, SIDE, SPOT, Oracle, always, make_case, square

VESSEL = EvaluateSettings(target="vessel")
EVERY = tuple(REGIMES)


def spots(**fields: object) -> EvaluateSettings:
    return EvaluateSettings(target="spot", **fields)


@pytest.mark.usefixtures("spot")
def test_perfect_prediction_scores_one_under_every_regime() -> None:
    cases = [make_case("a"), make_case("b", reference=square(10, 30, 20))]
    references = {case.pixels.tobytes(): case.reference for case in cases}
    oracle = Oracle(lambda prepared, prompts: references[prepared.pixels.tobytes()])
    results = list(evaluate(oracle, cases, spots(regimes=EVERY)))
    assert [(result.image, result.regime) for result in results] == [
        (image, regime) for image in "ab" for regime in EVERY
    ]
    for result in results:
        assert result.status == "scored"
        assert (result.score.scores["dice"], result.score.scores["auc"]) == (1, 1)
        assert result.score.scores["hd95"] == 0
        assert result.predicted_iou == 0.75
        np.testing.assert_array_equal(result.prediction, result.reference)


def test_shifted_prediction_has_the_expected_dice() -> None:
    """Two squares of 16 share 12 columns: Dice 12/16, all inside the field of view."""
    (result,) = evaluate(always(square(24, 20, 16)), [make_case()], VESSEL)
    assert result.score.scores["dice"] == pytest.approx(0.75)
    assert result.score.counts.tp == 12 * 16
    inside = int(INSIDE.sum())
    assert result.score.scores["specificity"] == pytest.approx(1 - 64 / (inside - 256))


def test_pixels_outside_the_field_count_for_compact_targets_only() -> None:
    mask = square(20, 20, 16) | ~INSIDE
    (vessel,) = evaluate(always(mask), [make_case()], VESSEL)
    (disc,) = evaluate(always(mask), [make_case()], EvaluateSettings(target="disc"))
    assert vessel.score.scores["dice"] == 1
    assert disc.score.scores["dice"] < 0.5
    np.testing.assert_array_equal(vessel.prediction, vessel.reference)
    np.testing.assert_array_equal(disc.prediction, mask)


@pytest.mark.usefixtures("spot")
def test_prompts_match_the_regime_and_the_reference() -> None:
    oracle = always(INSIDE)
    case = make_case(reference=square(0, 20, 16))  # half of it lies outside the field
    results = {result.regime: result for result in evaluate(oracle, [case], spots(regimes=EVERY))}
    for name, regime in REGIMES.items():
        prompts = results[name].prompts
        positive = [point for point in prompts.points if point.positive]
        assert (len(positive), len(prompts.points) - len(positive)) == (
            regime.positive,
            regime.negative,
        )
        assert (prompts.box is not None) is regime.box
        for point in prompts.points:
            assert INSIDE[int(point.y), int(point.x)]
            assert case.reference[int(point.y), int(point.x)] == point.positive
    assert [prompts for *_, prompts in oracle.calls] == [results[name].prompts for name in EVERY]


@pytest.mark.usefixtures("spot")
def test_prompts_depend_only_on_seed_and_image() -> None:
    def sampled(*cases: Case, **fields: object) -> dict[str, tuple[PointPrompt, ...]]:
        results = evaluate(always(INSIDE), cases, spots(**fields))
        return {result.image: result.prompts.points for result in results if result.regime == "5p"}

    a, b = make_case("a"), make_case("b")
    both = sampled(a, b, regimes=EVERY)
    assert sampled(b, a, regimes=("5p",)) == both
    assert sampled(b, regimes=("1p", "5p")) == {"b": both["b"]}
    assert both["a"] != both["b"]
    assert sampled(a, regimes=("5p",), seed=1)["a"] != both["a"]
    elsewhere = make_case("a", dataset="another")
    assert sampled(elsewhere, regimes=("5p",))["a"] != both["a"]


@pytest.mark.usefixtures("spot")
def test_absent_target_is_reported_as_not_sampled() -> None:
    empty = make_case(reference=np.zeros((SIDE, SIDE), bool))
    results = list(
        evaluate(always(~empty.reference), [empty], spots(regimes=("none", "1p", "box")))
    )
    assert [result.status for result in results] == ["scored", "not drawn", "not drawn"]
    assert results[0].score.scores["dice"] == 0
    assert np.isnan(results[0].score.scores["sensitivity"])
    assert "regime '1p' cannot be sampled" in results[1].problem
    (correct,) = evaluate(always(empty.reference), [empty], spots())
    assert correct.score.scores["dice"] == 1


@pytest.mark.usefixtures("spot")
def test_image_is_encoded_once_for_all_regimes(predictor: Predictor, monkeypatch) -> None:
    network, seen = predictor.base.network, 0
    encode = network.encode

    def counted(images: torch.Tensor) -> object:
        nonlocal seen
        seen += len(images)
        return encode(images)

    monkeypatch.setattr(network, "encode", counted)
    cases = [make_case("a"), make_case("b")]
    results = list(evaluate(predictor, cases, spots(regimes=EVERY)))
    assert [result.status for result in results] == ["scored"] * 14
    assert seen == 2
    assert len({result.score.scores["auc"] for result in results[:7]}) > 3  # prompts have an effect


@pytest.mark.usefixtures("spot")
def test_flips_average_four_predictions() -> None:
    gradient = np.broadcast_to(np.linspace(0, 1, SIDE), (SIDE, SIDE))
    oracle = Oracle(lambda prepared, prompts: gradient)
    (result,) = evaluate(oracle, [make_case()], spots(flips=True, regimes=("1p",)))
    assert len(oracle.calls) == 4
    assert len({prepared.key for prepared, *_ in oracle.calls}) == 4
    assert result.prediction.all()  # every column and its mirror average to the threshold 0.5


@pytest.mark.usefixtures("spot")
def test_adapter_sets_geometry_and_threshold_unless_protocol_fixes_it(
    make_adapter,
) -> None:
    adapter = make_adapter(threshold=0.3)
    oracle = Oracle(lambda prepared, prompts: np.full(prepared.shape, 0.4))
    (literature,) = evaluate(oracle, [make_case()], spots(), adapter=adapter)
    (paper,) = evaluate(oracle, [make_case()], spots(protocol="paper"), adapter=adapter)
    assert literature.prediction.all()
    assert not paper.prediction.any()
    assert oracle.adapters == [adapter, adapter]
    assert [geometry for _, geometry, _ in oracle.calls] == [GeometrySettings(detail="squash")] * 2
    (no_adapter,) = evaluate(oracle, [make_case()], spots())
    assert not no_adapter.prediction.any()
    assert oracle.adapters[-1] is None
    assert oracle.calls[-1][1] == GeometrySettings.for_target(SPOT)


def test_paper_protocol_compares_at_1024_squared(write_chase) -> None:
    first, second = square(10, 10, 20), square(20, 10, 20)
    records = read_dataset(write_chase({"Image_01L": (first, second)})).records
    big = np.kron(first | second, np.ones((16, 16), bool))
    settings = EvaluateSettings(target="vessel", protocol="paper", regimes=("none", "5p"))
    none, points = evaluate(always(big), records, settings)
    assert none.score.scores["dice"] == 1
    assert none.reference.shape == (1024, 1024)
    assert max(point.x for point in points.prompts.points) > SIDE


def test_unreadable_image_does_not_stop_the_others(write_chase) -> None:
    root = write_chase({f"Image_0{number}L": (square(20, 20, 16),) for number in (1, 2, 3)})
    (root / "Image_02L.jpg").write_text("no picture")
    settings = EvaluateSettings(target="vessel", regimes=("none", "1p"))
    results = list(evaluate(always(INSIDE), read_dataset(root).records, settings))
    assert [result.status for result in results] == ["scored"] * 2 + ["failed"] * 2 + ["scored"] * 2
    for result in results[2:4]:
        assert result.image == "Image_02L"
        assert "Image_02L.jpg" in result.problem
        assert result.score is None


@pytest.mark.usefixtures("spot")
def test_nan_prediction_fails_with_a_remedy() -> None:
    first = make_case("a").pixels

    def respond(prepared: PreparedImage, prompts: object) -> np.ndarray:
        return np.full(prepared.shape, np.nan if (prepared.pixels == first).all() else 1.0)

    broken, fine = evaluate(Oracle(respond), [make_case("a"), make_case("b")], spots())
    assert (broken.status, fine.status) == ("failed", "scored")
    assert "--precision float32" in broken.problem


def test_invalid_input_is_refused_by_the_call_itself(write_chase, make_adapter) -> None:
    def refuse(prepared: object, prompts: object) -> np.ndarray:
        raise AssertionError("prediction has started")

    oracle = Oracle(refuse)
    with pytest.raises(TargetError, match="nonsense"):
        evaluate(oracle, [make_case()], EvaluateSettings(target="nonsense"))
    with pytest.raises(AdapterError, match="segments 'spot', not 'vessel'"):
        evaluate(oracle, [make_case()], VESSEL, adapter=make_adapter())
    other = make_adapter(target=TARGETS["vessel"], base={"name": "nano", "identity": "1" * 64})
    with pytest.raises(AdapterError, match="The weights differ"):
        evaluate(oracle, [make_case()], VESSEL, adapter=other)
    records = read_dataset(write_chase({"Image_01L": (square(0, 0, 5, size=32),)})).records
    with pytest.raises(DatasetError, match="is 32 × 32"):
        evaluate(oracle, records, VESSEL)


@pytest.mark.usefixtures("spot")
@pytest.mark.parametrize("flips", [False, True])
def test_progress_reaches_the_number_of_images_and_can_cancel(flips: bool) -> None:
    seen: list[tuple[float, int]] = []
    cases = [make_case("a"), make_case("b")]
    settings = spots(regimes=("none", "1p"), flips=flips)

    def record(done: float, total: int) -> None:
        seen.append((done, total))

    list(evaluate(always(INSIDE), cases, settings, progress=record))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 2), (2, 2))
    assert any(done == 0.5 for done, _ in seen)

    def stop(done: float, total: int) -> None:
        if done > 1:
            raise KeyboardInterrupt

    results = []
    with pytest.raises(KeyboardInterrupt):
        results.extend(evaluate(always(INSIDE), cases, settings, progress=stop))


def test_arrays_can_be_evaluated_without_a_dataset() -> None:
    """A case needs no dataset, no files, no field of view and no patient."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    reference = np.zeros((40, 50), bool)
    reference[10:20, 10:30] = True
    (result,) = evaluate(always(reference), [Case("Image 1", pixels, reference)], VESSEL)
    assert result.score.scores["dice"] == 1
    assert (result.dataset, result.patient) == ("", "")


GRADERS = {
    "Image_01L": (square(20, 20, 16), square(24, 20, 16)),
    "Image_01R": (square(20, 20, 16), square(20, 20, 16)),
    "Image_02L": (square(20, 20, 16),),
}


def test_second_grader_is_scored_like_a_network(write_chase) -> None:
    records = read_dataset(write_chase(GRADERS)).records
    results = list(evaluate_grader(records, VESSEL))
    assert [result.status for result in results] == ["scored", "scored", "failed"]
    assert "no mask of vessel by grader 2" in results[2].problem
    assert [result.score.scores["dice"] for result in results[:2]] == pytest.approx([0.75, 1])
    assert np.isnan(results[0].score.scores["auc"])
    assert {result.regime for result in results} == {"none"}
    case = make_case("Image_01L", reference=GRADERS["Image_01L"][0], field=FIELD)
    (network,) = evaluate(always(GRADERS["Image_01L"][1]), [case], VESSEL)
    assert network.score.scores["dice"] == results[0].score.scores["dice"]


def test_second_grader_needs_its_masks_and_grader_1_as_reference(write_chase) -> None:
    records = read_dataset(write_chase({"Image_02L": GRADERS["Image_02L"]})).records
    with pytest.raises(DatasetError, match="CHASE_DB1: none of the 1 images has a mask of vessel"):
        evaluate_grader(records, VESSEL)
    with pytest.raises(SettingsError, match="union of the graders"):
        evaluate_grader(records, EvaluateSettings(target="vessel", protocol="paper"))


def test_unreadable_grader_mask_does_not_stop_the_others(write_chase) -> None:
    root = write_chase(GRADERS)
    (root / "Image_01L_2ndHO.png").write_bytes(b"")
    results = list(evaluate_grader(read_dataset(root).records, VESSEL))
    assert [result.status for result in results] == ["failed", "scored", "failed"]


@pytest.mark.usefixtures("spot")
def test_cluster_gives_the_same_results(
    write_set: Callable[..., Path], cluster: Cluster, one_thread: None
) -> None:
    cases = {name: make_case(name) for name in "abc"}
    root = write_set("mine", cases, target="vessel")
    (root / "images" / "b.png").write_bytes(b"")
    records = read_dataset(root).records
    predictor = load_predictor("nano", device="cpu", precision="float32")
    settings = EvaluateSettings(target="vessel", regimes=("none", "1p"))
    shown: list[float] = []
    alone, shared = (
        list(evaluate(predictor, records, settings, cluster=where, progress=progress))
        for where, progress in ((None, no_progress), (cluster, lambda done, _: shown.append(done)))
    )
    assert [result.status for result in shared] == ["scored"] * 2 + ["failed"] * 2 + ["scored"] * 2
    for one, two in zip(alone, shared, strict=True):
        assert (two.image, two.regime, two.problem) == (one.image, one.regime, one.problem)
        if one.score:
            assert two.score.scores == one.score.scores
            np.testing.assert_array_equal(two.prediction, one.prediction)
    assert shown == [0, 1, 2, 3]
