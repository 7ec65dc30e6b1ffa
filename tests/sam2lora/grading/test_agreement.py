"""Agreement of two graders, by target and image, of what both are done with."""

import math

import numpy as np
import pytest

from sam2lora.errors import SessionError, TargetError
from sam2lora.grading import GradingSession, Review, SessionGrader
from sam2lora.grading.agreement import LoneMask, compare_graders
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.images.reading import read_image
from sam2lora.metrics.segmentation import dice, hd95, vertical_cdr
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_same_masks_agree_fully(session: GradingSession, grade: Grade):
    grade("anna")
    grade("ben")
    found = compare_graders(Review(session), "anna", "ben")
    assert {(one.dice, one.kappa, one.hd95) for one in found.masks} == {(1, 1, 0)}
    assert len(found.masks) == 8
    assert found.limits.n == 4
    assert found.limits.bias == found.limits.sd == 0
    assert found.states == {("done", "done"): 4}
    assert (found.lone, found.problems) == ((), {})


def test_numbers_are_those_of_the_metrics_in_the_field(
    session: GradingSession, grade: Grade, masks: Eyes
):
    grade("anna")
    grade("ben", STEMS[:2], shift=3)
    found = compare_graders(Review(session), "anna", "ben")
    assert {one.stem for one in found.masks} == set(STEMS[:2])
    field = find_field_of_view(read_image(session.found_path(STEMS[0])).pixels).mask
    mine = masks[STEMS[0]]
    other = {name: np.roll(mask, 3, axis=0) for name, mask in mine.items()}
    (disc,) = [one for one in found.masks if (one.stem, one.target) == (STEMS[0], "disc")]
    assert disc.dice == dice(mine["disc"], other["disc"], valid=field)
    assert disc.hd95 == hd95(mine["disc"], other["disc"], valid=field)
    assert 0 < disc.kappa < disc.dice < 1
    ratio = found.ratios[0]
    assert ratio.first == vertical_cdr(mine, field)
    assert ratio.difference == ratio.first - ratio.second
    assert found.worst()[0].dice == min(one.dice for one in found.masks)
    assert found.summaries["cup"]["dice"].n == 2
    assert found.states == {("done", "to do"): 2, ("done", "done"): 2}


def test_quality_has_a_kappa_of_its_own(session: GradingSession, grade: Grade):
    for name, qualities in (("anna", "gradable no no"), ("ben", "gradable no partly")):
        grade(name, STEMS[:1], targets=())
        grade(name, STEMS[1:2], targets=(), state="flagged")
        with SessionGrader(session, name) as grader:
            for stem, quality in zip(STEMS, qualities.split(), strict=False):
                grader.set_quality(stem, quality)
    sealed = compare_graders(Review(session), "anna", "ben")
    assert sealed.qualities.tolist() == [[1, 0, 0], [0] * 3, [0] * 3], "sealed like the masks"
    for name in ("anna", "ben"):
        with SessionGrader(session, name) as grader:
            for stem in STEMS:
                grader.set_state(stem, "done")
    found = compare_graders(Review(session), "anna", "ben")
    assert found.qualities.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert found.quality_kappa == pytest.approx(1 - (1 / 3) / 1)
    assert found.masks == ()
    assert math.isnan(found.limits.bias)


def test_what_one_alone_drew_is_counted_and_what_fails_is_named(
    session: GradingSession, grade: Grade
):
    grade("anna")
    grade("ben", targets=("disc",))
    session.path(STEMS[3]).unlink()
    found = compare_graders(Review(session), "anna", "ben")
    assert found.lone == tuple(LoneMask(stem, "cup", "anna") for stem in STEMS[:3])
    assert {one.target for one in found.masks} == {"disc"}
    assert found.ratios == ()
    assert list(found.problems) == [STEMS[3]]
    assert "is not there" in found.problems[STEMS[3]]
    only = compare_graders(Review(session), "anna", "ben", targets=["cup"])
    assert only.masks == ()
    with pytest.raises(TargetError, match="dsic"):
        compare_graders(Review(session), "anna", "ben", targets=["dsic"])


def test_graders_that_cannot_be_compared_are_refused(session: GradingSession, grade: Grade):
    grade("anna", STEMS[:1])
    with pytest.raises(SessionError, match="anna cannot be compared with anna"):
        compare_graders(Review(session), "anna", "anna")
    with pytest.raises(SessionError, match=r"ben is not a grader of this session\. Graders: anna"):
        compare_graders(Review(session), "anna", "ben")
