"""The next image is that of the list, or the most doubtful, and it is said why."""

from sam2lora.grading import Doubt, ImageGrade, suggest

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
    assert "Not predicted" in found[2].reason
