"""What the list says of an image, and which images it shows."""

from datetime import UTC, datetime, timedelta

from napari_sam2lora.grading.rows import FILTERS, ImageRow, row_of
from sam2lora.grading import Doubt, GradingSession, ImageGrade


def test_a_row_has_everything(session: GradingSession):
    grade = ImageGrade(
        state="flagged",
        since=datetime.now(UTC),
        reason="two discs",
        comment="ask Cleo",
        quality="partly",
        seconds=timedelta(minutes=2).total_seconds(),
    )
    row = row_of(session.images[0], grade, Doubt(0.4, "The prediction is least sure of the cup."))
    assert (row.stem, row.minutes, row.doubt) == ("eye1", 2, 0.4)
    for text in ("flagged: two discs", "partly", "ask Cleo", "2.0 minutes", "least sure"):
        assert text in row.tip


def test_each_filter_shows_what_it_says(session: GradingSession):
    rows: list[ImageRow] = [
        row_of(session.images[0], ImageGrade(), None),
        row_of(session.images[1], ImageGrade(state="done", quality="no"), Doubt(0.1, "why")),
        row_of(session.images[2], ImageGrade(state="flagged", comment="?"), None, ["ben"]),
    ]
    shown = {
        name: "".join(str(n) for n, row in enumerate(rows) if wanted(row))
        for name, wanted in FILTERS.items()
    }
    assert shown == {
        "All images": "012",
        "To do or started": "0",
        "Done": "1",
        "Flagged": "2",
        "Skipped": "",
        "Gradable": "",
        "Partly gradable": "",
        "Ungradable": "1",
        "With a comment": "2",
        "With a doubt": "1",
        "Done by others": "2",
    }
