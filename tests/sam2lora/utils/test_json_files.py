"""JSON of users is read or refused in one line."""

from pathlib import Path

import pytest

from sam2lora.errors import SettingsError
from sam2lora.utils.json_files import parse_json, read_json, read_json_object


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nested deeper than 100 levels"),
        (b"[" * 200 + b"]" * 200, "nested deeper than 100 levels"),
        (rb'{"a": "\ud800"}', "half of a character"),
        (b'{"a": "\xed\xa0\x80"}', "not a text file"),
        (b'{"steps": 1' + b"0" * 400 + b"}", "401 digits is too large"),
        (b'{"a": [1, ', "is truncated or not JSON"),
        (b"", "is truncated or not JSON"),
        (b"[1]", "is not a JSON object"),
    ],
)
def test_damaged_json_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=message) as caught:
        read_json_object(path, error=SettingsError)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_json_within_the_limits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"a": [9223372036854775807, "\\ud83d\\ude00"]}', encoding="utf-8")
    assert read_json(path, error=SettingsError) == {"a": [2**63 - 1, "\U0001f600"]}
    assert parse_json(r'"\udcff"', "it", error=SettingsError, any_text=True) == "\udcff"


def test_file_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(SettingsError, match=r"a\.json: cannot be read"):
        read_json(path, error=SettingsError)
    path.write_text("[1, 2]")
    with pytest.raises(SettingsError, match="larger than 3 bytes"):
        read_json(path, error=SettingsError, largest=3)
