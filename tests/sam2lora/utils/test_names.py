"""Names are sorted as people count, and compared without their Unicode form."""

import unicodedata
from pathlib import Path

import pytest

from sam2lora.utils.names import existing_spelling, natural_key, plain_name

DECOMPOSED = unicodedata.normalize("NFD", "Müller")


@pytest.mark.parametrize(
    "names",
    [
        ["2", "11", "100"],
        ["p2", "p11", "p11b"],
        ["a1_2", "a1_11", "a2_1"],
        ["1", "01", "2"],
        ["B.PNG", "a.tif", "d.ppm.gz"],
        ["9" * 50, "1" + "0" * 50],
        ["", "a", "a1"],
        ["a²", "a³"],
    ],
)
def test_numbers_are_sorted_by_size(names: list[str]) -> None:
    given = sorted(names, reverse=True)
    expected = names if names[0] != "1" else ["01", "1", "2"]
    assert sorted(given, key=natural_key) == expected


def test_paths_are_sorted_part_by_part() -> None:
    first, second, third = Path("s2/a"), Path("s10/a"), Path("s10/b")
    assert sorted([third, first, second], key=natural_key) == [first, second, third]


def test_plain_names_ignore_case_and_form() -> None:
    assert plain_name("MÜLLER") == plain_name(DECOMPOSED)
    assert plain_name("a") != plain_name("b")


def test_existing_spelling_is_found_in_every_part(tmp_path: Path) -> None:
    written = tmp_path / DECOMPOSED / f"{DECOMPOSED}.png"
    written.parent.mkdir()
    written.touch()
    assert existing_spelling(tmp_path / "Müller" / "Müller.png").samefile(written)
    assert existing_spelling(written) == written
    missing = tmp_path / "Möller" / "Müller.png"
    assert existing_spelling(missing) == missing
