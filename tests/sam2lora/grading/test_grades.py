"""The grade of an image is the fold of its entries."""

from datetime import UTC, datetime, timedelta

from sam2lora.grading.entries import (
    ChoiceEntry,
    CommentEntry,
    PredictionEntry,
    QualityEntry,
    StateEntry,
    WorkEntry,
)
from sam2lora.grading.grades import UNTOUCHED, after, fold

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_last_entry_of_a_kind_counts_and_time_adds_up():
    prediction = PredictionEntry(image="a", target="disc", model="nano", adapter="second")
    grades = fold(
        [
            StateEntry(image="a", state="started"),
            StateEntry(image="a", state="flagged", reason="blurred"),
            CommentEntry(image="a", text="first"),
            CommentEntry(image="a", text="second"),
            QualityEntry(image="a", quality="partly"),
            WorkEntry(image="a", start=START, end=START + timedelta(seconds=40)),
            WorkEntry(image="a", start=START, end=START + timedelta(seconds=20)),
            PredictionEntry(image="a", target="disc", model="nano", adapter="first"),
            prediction,
            StateEntry(image="b", state="done", time=START),
        ]
    )
    a = grades["a"]
    assert (a.state, a.reason, a.comment, a.quality) == ("flagged", "blurred", "second", "partly")
    assert a.seconds == 60
    assert a.predictions == {"disc": prediction}
    assert grades["b"].changed == grades["b"].since == START


def test_taking_back_is_one_more_entry():
    grade = after(UNTOUCHED, StateEntry(image="a", state="done"))
    grade = after(grade, QualityEntry(image="a", quality="no"))
    grade = after(grade, ChoiceEntry(image="a", target="disc", choice="staple"))
    assert grade.choices["disc"].choice == "staple"
    for entry in (
        StateEntry(image="a", state="to do"),
        QualityEntry(image="a", quality=None),
        ChoiceEntry(image="a", target="disc", choice=None),
    ):
        grade = after(grade, entry)
    assert (grade.state, grade.quality, grade.choices) == ("to do", None, {})
