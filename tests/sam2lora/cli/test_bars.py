"""How far the work is."""

import time

import pytest

from sam2lora.cli.bars import ImageBar, line_text, rate_text


def test_rate_is_in_images_or_in_seconds():
    assert [rate_text(rate) for rate in (None, 0, 12.34, 1, 0.4)] == [
        *("", "", "12.3/s", "1.0/s", "2.5 s each")
    ]


def test_line_has_rate_and_time_left():
    assert line_text("Measuring", 50, 410, 100) == "Measuring: 50 of 410, 2.0 s each, 0.2 h left"
    assert line_text("Measuring", 0, 10, 5) == "Measuring: 0 of 10"
    assert line_text("Measuring", 2, 10, 0) == "Measuring: 2 of 10"


def test_first_line_comes_a_minute_after_the_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sam2lora.cli.bars._LINE_EVERY", 0.3)
    bar = ImageBar("Measuring", lines=True)
    time.sleep(0.4)  # while the network is loaded
    with bar:
        bar.show(0, 2)
    assert capsys.readouterr().err == ""


def test_lines_are_printed_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sam2lora.cli.bars._LINE_EVERY", 0)
    with ImageBar("Measuring") as bar:
        bar.show(1, 2)
    assert capsys.readouterr().err == ""
    with ImageBar("Measuring", lines=True) as bar:
        bar.show(1, 2)
    assert capsys.readouterr().err.startswith("Measuring: 1 of 2, ")
