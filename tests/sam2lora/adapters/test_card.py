import json
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from sam2lora.adapters.card import (
    AdapterCard,
    check_name,
    library_versions,
    now,
    read_card,
)
from sam2lora.errors import AdapterError
from sam2lora.settings import LoraSettings
from sam2lora.targets import Target


def written(folder: Path, content: object) -> Path:
    path = folder / "sam2lora.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_card_is_read_as_it_was_written(make_card, tmp_path: Path):
    drusen = Target(name="drusen", label=9, color="#123456", detail="tiles", threshold=0.3)
    card = make_card(
        target=drusen,
        training={"steps": 600, "optimizer": {"learning_rate": 1e-3}},
        data={"DRIVE": 16},
        data_hash="0" * 64,
        validation={"dice": 0.81},
        started_from={"name": "older", "digest": "f" * 64},
        license="research use — see the notice",
    )
    path = tmp_path / "sam2lora.json"
    path.write_text(card.to_json(), encoding="utf-8")
    assert read_card(path) == card
    assert read_card(path).target == drusen


def test_card_has_creation_time_and_library_versions(make_card):
    assert now().utcoffset() is not None
    assert {"torch", "peft", "safetensors"} <= library_versions().keys()
    assert library_versions(["no-such-library", "torch"]).keys() == {"torch"}
    assert "not a medical device" in make_card().notice.lower()
    with pytest.raises(ValidationError, match="timezone"):
        make_card(created=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("lora", LoraSettings(rank=4), "rank and alpha"),
        ("lora", LoraSettings(alpha=4), "rank and alpha"),
        ("lora", {"rank": 100_000, "alpha": 1}, "lora.rank.*1024"),
        ("lora", {"rank": 0, "alpha": 1}, "lora.rank"),
        ("name", "../evil", "is not a valid name"),
        ("target", {"name": "a/b", "label": 1, "color": "#000000"}, "target.name"),
        ("base", {"name": "nano", "identity": "x"}, "base.identity"),
        ("threshold", 1.5, "threshold"),
        ("license", "\x1b[31mred", "control characters"),
        ("surprise", 1, "surprise"),
    ],
)
def test_invalid_card_error_names_the_field(make_card, tmp_path, field, value, message):
    content = json.loads(make_card().to_json())
    content[field] = value if not hasattr(value, "model_dump") else value.model_dump()
    path = written(tmp_path, content)
    with pytest.raises(AdapterError, match=message) as caught:
        read_card(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("missing", ["target", "base", "lora", "geometry", "created"])
def test_card_without_a_required_field_is_refused(make_card, tmp_path: Path, missing: str):
    content = json.loads(make_card().to_json())
    del content[missing]
    with pytest.raises(AdapterError, match=missing):
        read_card(written(tmp_path, content))


def test_a_newer_card_asks_for_an_update(make_card, tmp_path: Path):
    content = json.loads(make_card().to_json()) | {"format": 2, "unheard_of": True}
    with pytest.raises(AdapterError, match=r"format 2, this version reads 1\. Update"):
        read_card(written(tmp_path, content))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "truncated or not JSON"),
        (b"[1]", "not a JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 9000, "nested deeper"),
        (b'{"name": "\\ud800"}', "half of a character"),
        (b" " * (1 << 20) + b"{}", "larger than 1048576 bytes"),
    ],
)
def test_card_that_is_not_a_small_json_object_is_refused(tmp_path: Path, raw: bytes, message: str):
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    with pytest.raises(AdapterError, match=message):
        read_card(path)
    with pytest.raises(AdapterError, match="cannot be read"):
        read_card(tmp_path / "missing.json")


@pytest.mark.parametrize("name", ["a", "vessel-nano_v1.2", "A" * 64, "2024", "console"])
def test_valid_adapter_names_are_accepted(make_card, name: str):
    assert check_name(name) == name
    assert make_card().renamed(name).name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "a b", "-a", "a.", "A" * 65, "nul", "COM1.x", "ä", "a\n", "c:"],
)
def test_invalid_adapter_names_are_refused(make_card, name: str):
    with pytest.raises(AdapterError, match="is not a valid name"):
        check_name(name)
    with pytest.raises(AdapterError, match="is not a valid name"):
        make_card().renamed(name)
    with pytest.raises(ValidationError, match="is not a valid name"):
        make_card(name=name)


def test_every_field_of_the_card_has_a_description():
    assert [name for name, field in AdapterCard.model_fields.items() if not field.description] == []
