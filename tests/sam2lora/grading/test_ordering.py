"""The next image is that of the list, or the most doubtful, and it is said why."""

import numpy as np

from sam2lora.grading import Doubt, ImageGrade, doubt_of_confidences, doubt_of_predictions, suggest

STEMS = ["a", "b", "c", "d"]


def stems(found: list) -> list[str]:
    return [one.stem for one in found]


def test_next_in_the_list_goes_on_after_the_current_one():
    grades = {"a": ImageGrade("done"), "d": ImageGrade("started"), "c": ImageGrade("flagged")}
    assert stems(suggest(STEMS, grades)) == ["b", "d"]
    found = suggest(STEMS, grades, current="c")
    assert stems(found) == ["d", "b"]
    assert found[0].reason == "Next in the list; it was started."
    assert found[1].reason == "Next in the list."
    assert suggest(STEMS, dict.fromkeys(STEMS, ImageGrade("done"))) == []
    assert stems(suggest(STEMS, {}, current="b")) == ["c", "d", "a"]


def test_most_doubtful_comes_first_and_unknown_last():
    doubts = {"b": Doubt(0.2, "little"), "c": Doubt(0.9, "much"), "a": Doubt(1.0, "most")}
    found = suggest(STEMS, {"a": ImageGrade("done")}, doubts=doubts)
    assert stems(found) == ["c", "b", "d"]
    assert found[0].reason == "much"
    assert "Nothing is known" in found[2].reason


def test_doubt_is_about_the_least_sure_target():
    doubt = doubt_of_confidences({"disc": 0.9, "cup": 0.43})
    assert doubt is not None
    assert doubt.value == 1 - 0.43
    assert doubt.reason == "The prediction is least sure of the cup: 43%."
    assert doubt_of_confidences({}) is None


def test_doubt_is_about_what_two_predictions_differ_most_in():
    disc, cup = np.zeros((2, 10, 10), bool)
    disc[2:8], cup[4:6] = True, True
    first = {"disc": disc, "cup": cup}
    second = {"disc": disc, "cup": np.roll(cup, 1, axis=0), "vessel": disc}
    doubt = doubt_of_predictions(first, second, names=("mine", "yours"))
    assert doubt is not None
    assert doubt.value == 0.5
    assert doubt.reason == "mine and yours differ most in the cup: a Dice of 0.50."
    assert doubt_of_predictions(first, {}) is None
