"""Rows are complete on every terminal and in every pipe; numbers have four decimals."""

import re

import pytest

from sam2lora.cli.rows import number, print_rows

LONG = "/data/" + "a_long_folder_name/" * 8 + "image[red].png"
REASON = "is a stack of shape (5, 64, 64), a single photograph was expected. [/bold] :smile:"


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, width: int, **how: bool
) -> str:
    """Return the output on a terminal of this width, without colors."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    print_rows(("image", "reason"), [(LONG, REASON)], title="1 failed:", **how)
    out, err = capsys.readouterr()
    assert not (err if not how.get("stderr") else out)
    return re.sub(r"\x1b\[[0-9;]*m", "", out + err)


def test_rows_in_a_pipe_are_tab_separated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rows(("image", "reason"), [(LONG, REASON), ("b", "")])
    print_rows(("image",), [("c",)], title="1 failed:", stderr=True)
    out, err = capsys.readouterr()
    assert out == f"{LONG}\t{REASON}\nb\t\n"
    assert err == "1 failed:\nc\n"


@pytest.mark.parametrize("width", [60, 80, 100, 300])
def test_rows_on_a_terminal_are_a_table_without_cut_cells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    lines = printed(monkeypatch, capsys, width=width).splitlines()
    assert lines[0].strip() == "1 failed:"
    assert max(map(len, lines)) <= width
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in lines if "│" in line]
    assert "".join(path for path, _ in cells) == LONG
    assert " ".join(reason for _, reason in cells).split() == REASON.split()


def test_rows_on_a_narrow_terminal_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(monkeypatch, capsys, width=40, stderr=True)
    assert text == f"1 failed:\n{LONG}\t{REASON}\n"


def test_numbers_have_four_decimals_and_an_optional_sign() -> None:
    assert (number(0.5), number(None)) == ("0.5000", "-")
    assert (number(0.5, signed=True), number(-0.5, signed=True)) == ("+0.5000", "-0.5000")
