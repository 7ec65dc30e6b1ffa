"""The loop: known answers get known numbers, prompts repeat, and one failure stops nothing."""

import numpy as np
import pytest
import torch

from sam2lora.datasets import read_dataset
from sam2lora.errors import AdapterError, DatasetError, SettingsError, TargetError
from sam2lora.evaluation import Case, EvaluateSettings, evaluate, evaluate_grader
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.sampling import REGIMES
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import GeometrySettings
from sam2lora.targets import TARGETS

from .conftest import FIELD, INSIDE, SIDE, SPOT, Oracle, always, make_case, square

VESSEL = EvaluateSettings(target="vessel")
EVERY = tuple(REGIMES)


def spots(**fields: object) -> EvaluateSettings:
    return EvaluateSettings(target="spot", **fields)


@pytest.mark.usefixtures("spot")
def test_a_perfect_answer_scores_one_under_every_regime() -> None:
    cases = [make_case("a"), make_case("b", reference=square(10, 30, 20))]
    truths = {case.pixels.tobytes(): case.reference for case in cases}
    oracle = Oracle(lambda prepared, prompts: truths[prepared.pixels.tobytes()])
    results = list(evaluate(oracle, cases, spots(regimes=EVERY)))
    assert [(one.image, one.regime) for one in results] == [
        (image, regime) for image in "ab" for regime in EVERY
    ]
    for one in results:
        assert one.status == "scored"
        assert (one.score.scores["dice"], one.score.scores["auc"]) == (1, 1)
        assert one.score.scores["hd95"] == 0
        assert one.expected_iou == 0.75
        np.testing.assert_array_equal(one.prediction, one.reference)


def test_a_shifted_answer_has_the_dice_that_was_worked_out() -> None:
    """Two squares of 16 with 12 columns in common: Dice 12/16, all inside the field."""
    (one,) = evaluate(always(square(24, 20, 16)), [make_case()], VESSEL)
    assert one.score.scores["dice"] == pytest.approx(0.75)
    assert one.score.counts.tp == 12 * 16
    inside = int(INSIDE.sum())
    assert one.score.scores["specificity"] == pytest.approx(1 - 64 / (inside - 256))


def test_what_lies_outside_the_field_counts_for_compact_targets_only() -> None:
    answer = square(20, 20, 16) | ~INSIDE
    (vessel,) = evaluate(always(answer), [make_case()], VESSEL)
    (disc,) = evaluate(always(answer), [make_case()], EvaluateSettings(target="disc"))
    assert vessel.score.scores["dice"] == 1
    assert disc.score.scores["dice"] < 0.5
    np.testing.assert_array_equal(vessel.prediction, vessel.reference)
    np.testing.assert_array_equal(disc.prediction, answer)


@pytest.mark.usefixtures("spot")
def test_prompts_are_those_of_the_regime_and_lie_where_they_should() -> None:
    oracle = always(INSIDE)
    case = make_case(reference=square(0, 20, 16))  # half of it lies outside the field
    results = {one.regime: one for one in evaluate(oracle, [case], spots(regimes=EVERY))}
    for name, regime in REGIMES.items():
        prompts = results[name].prompts
        on = [click for click in prompts.points if click.positive]
        assert (len(on), len(prompts.points) - len(on)) == (regime.positive, regime.negative)
        assert (prompts.box is not None) is regime.box
        for click in prompts.points:
            assert INSIDE[int(click.y), int(click.x)]
            assert case.reference[int(click.y), int(click.x)] == click.positive
    assert [prompts for *_, prompts in oracle.asked] == [results[name].prompts for name in EVERY]


@pytest.mark.usefixtures("spot")
def test_prompts_depend_on_the_seed_and_the_image_and_on_nothing_else() -> None:
    def drawn(*cases: Case, **fields: object) -> dict[str, tuple[PointPrompt, ...]]:
        results = evaluate(always(INSIDE), cases, spots(**fields))
        return {one.image: one.prompts.points for one in results if one.regime == "5p"}

    a, b = make_case("a"), make_case("b")
    both = drawn(a, b, regimes=EVERY)
    assert drawn(b, a, regimes=("5p",)) == both
    assert drawn(b, regimes=("1p", "5p")) == {"b": both["b"]}
    assert both["a"] != both["b"]
    assert drawn(a, regimes=("5p",), seed=1)["a"] != both["a"]
    elsewhere = make_case("a", dataset="another")
    assert drawn(elsewhere, regimes=("5p",))["a"] != both["a"]


@pytest.mark.usefixtures("spot")
def test_where_the_target_is_absent_prompts_cannot_be_drawn_and_that_is_said() -> None:
    empty = make_case(reference=np.zeros((SIDE, SIDE), bool))
    results = list(
        evaluate(always(~empty.reference), [empty], spots(regimes=("none", "1p", "box")))
    )
    assert [one.status for one in results] == ["scored", "not drawn", "not drawn"]
    assert results[0].score.scores["dice"] == 0
    assert np.isnan(results[0].score.scores["sensitivity"])
    assert "regime '1p' cannot be drawn" in results[1].problem
    (right,) = evaluate(always(empty.reference), [empty], spots())
    assert right.score.scores["dice"] == 1


@pytest.mark.usefixtures("spot")
def test_an_image_is_encoded_once_for_all_regimes(predictor: Predictor, monkeypatch) -> None:
    network, seen = predictor.base.network, 0
    encode = network.encode

    def counted(images: torch.Tensor) -> object:
        nonlocal seen
        seen += len(images)
        return encode(images)

    monkeypatch.setattr(network, "encode", counted)
    cases = [make_case("a"), make_case("b")]
    results = list(evaluate(predictor, cases, spots(regimes=EVERY)))
    assert [one.status for one in results] == ["scored"] * 14
    assert seen == 2
    assert len({one.score.scores["auc"] for one in results[:7]}) > 3  # prompts do something


@pytest.mark.usefixtures("spot")
def test_flips_ask_four_times_about_an_image() -> None:
    lean = np.broadcast_to(np.linspace(0, 1, SIDE), (SIDE, SIDE))
    oracle = Oracle(lambda prepared, prompts: lean)
    (one,) = evaluate(oracle, [make_case()], spots(flips=True, regimes=("1p",)))
    assert len(oracle.asked) == 4
    assert len({prepared.key for prepared, *_ in oracle.asked}) == 4
    assert one.prediction.all()  # every column and its mirror image come to 0.5, the threshold


@pytest.mark.usefixtures("spot")
def test_geometry_and_threshold_are_the_adapters_and_the_papers_threshold_is_its_own(
    make_adapter,
) -> None:
    adapter = make_adapter(threshold=0.3)
    oracle = Oracle(lambda prepared, prompts: np.full(prepared.shape, 0.4))
    (own,) = evaluate(oracle, [make_case()], spots(), adapter=adapter)
    (paper,) = evaluate(oracle, [make_case()], spots(protocol="paper"), adapter=adapter)
    assert own.prediction.all()
    assert not paper.prediction.any()
    assert oracle.used == [adapter, adapter]
    assert [geometry for _, geometry, _ in oracle.asked] == [GeometrySettings(detail="squash")] * 2
    (bare,) = evaluate(oracle, [make_case()], spots())
    assert not bare.prediction.any()
    assert oracle.used[-1] is None
    assert oracle.asked[-1][1] == GeometrySettings.for_target(SPOT)


def test_the_papers_protocol_compares_at_1024_squared(write_chase) -> None:
    first, second = square(10, 10, 20), square(20, 10, 20)
    records = read_dataset(write_chase({"Image_01L": (first, second)})).records
    big = np.kron(first | second, np.ones((16, 16), bool))
    settings = EvaluateSettings(target="vessel", protocol="paper", regimes=("none", "5p"))
    none, points = evaluate(always(big), records, settings)
    assert none.score.scores["dice"] == 1
    assert none.reference.shape == (1024, 1024)
    assert max(click.x for click in points.prompts.points) > SIDE


def test_one_image_that_cannot_be_read_stops_no_other(write_chase) -> None:
    root = write_chase({f"Image_0{number}L": (square(20, 20, 16),) for number in (1, 2, 3)})
    (root / "Image_02L.jpg").write_text("no picture")
    settings = EvaluateSettings(target="vessel", regimes=("none", "1p"))
    results = list(evaluate(always(INSIDE), read_dataset(root).records, settings))
    assert [one.status for one in results] == ["scored"] * 2 + ["failed"] * 2 + ["scored"] * 2
    for one in results[2:4]:
        assert one.image == "Image_02L"
        assert "Image_02L.jpg" in one.problem
        assert one.score is None


@pytest.mark.usefixtures("spot")
def test_an_answer_that_is_no_number_is_a_failure_that_says_what_to_do() -> None:
    first = make_case("a").pixels

    def say(prepared: PreparedImage, prompts: object) -> np.ndarray:
        return np.full(prepared.shape, np.nan if (prepared.pixels == first).all() else 1.0)

    broken, fine = evaluate(Oracle(say), [make_case("a"), make_case("b")], spots())
    assert (broken.status, fine.status) == ("failed", "scored")
    assert "--precision float32" in broken.problem


def test_what_cannot_be_judged_is_refused_when_called(write_chase, make_adapter) -> None:
    def refuse(prepared: object, prompts: object) -> np.ndarray:
        raise AssertionError("work has begun")

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
def test_progress_rises_to_the_number_of_images_and_can_stop_the_work(flips: bool) -> None:
    seen: list[tuple[float, int]] = []
    cases = [make_case("a"), make_case("b")]
    settings = spots(regimes=("none", "1p"), flips=flips)

    def watch(done: float, total: int) -> None:
        seen.append((done, total))

    list(evaluate(always(INSIDE), cases, settings, progress=watch))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 2), (2, 2))
    assert any(done == 0.5 for done, _ in seen)

    def stop(done: float, total: int) -> None:
        if done > 1:
            raise KeyboardInterrupt

    results = []
    with pytest.raises(KeyboardInterrupt):
        results.extend(evaluate(always(INSIDE), cases, settings, progress=stop))


def test_a_viewer_gives_arrays() -> None:
    """A case needs no data set, no files, no field of view and no patient."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    truth = np.zeros((40, 50), bool)
    truth[10:20, 10:30] = True
    (one,) = evaluate(always(truth), [Case("Image 1", pixels, truth)], VESSEL)
    assert one.score.scores["dice"] == 1
    assert (one.dataset, one.patient) == ("", "")


GRADERS = {
    "Image_01L": (square(20, 20, 16), square(24, 20, 16)),
    "Image_01R": (square(20, 20, 16), square(20, 20, 16)),
    "Image_02L": (square(20, 20, 16),),
}


def test_a_second_grader_is_judged_as_a_network_is(write_chase) -> None:
    records = read_dataset(write_chase(GRADERS)).records
    results = list(evaluate_grader(records, VESSEL))
    assert [one.status for one in results] == ["scored", "scored", "failed"]
    assert "no mask of vessel by grader 2" in results[2].problem
    assert [one.score.scores["dice"] for one in results[:2]] == pytest.approx([0.75, 1])
    assert np.isnan(results[0].score.scores["auc"])
    assert {one.regime for one in results} == {"none"}
    case = make_case("Image_01L", reference=GRADERS["Image_01L"][0], field=FIELD)
    (network,) = evaluate(always(GRADERS["Image_01L"][1]), [case], VESSEL)
    assert network.score.scores["dice"] == results[0].score.scores["dice"]


def test_without_any_second_grader_or_against_the_union_it_is_refused(write_chase) -> None:
    records = read_dataset(write_chase({"Image_02L": GRADERS["Image_02L"]})).records
    with pytest.raises(DatasetError, match="CHASE_DB1: none of the 1 images has a mask of vessel"):
        evaluate_grader(records, VESSEL)
    with pytest.raises(SettingsError, match="union of the graders"):
        evaluate_grader(records, EvaluateSettings(target="vessel", protocol="paper"))


def test_a_grader_that_fails_to_be_read_stops_no_other(write_chase) -> None:
    root = write_chase(GRADERS)
    (root / "Image_01L_2ndHO.png").write_bytes(b"")
    results = list(evaluate_grader(read_dataset(root).records, VESSEL))
    assert [one.status for one in results] == ["failed", "scored", "failed"]
