"""`sam2lora adapters`, with random weights."""

import json
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import CliRunner, Result

from sam2lora.adapters import AdapterCard, adapters_folder, install_adapter, list_adapters
from sam2lora.adapters.card import now
from sam2lora.adapters.lora import add_lora, lora_tensors
from sam2lora.adapters.serialization import save_adapter
from sam2lora.cli import app
from sam2lora.errors import AdapterError
from sam2lora.models.loading import load_base
from sam2lora.settings import DetailHeadSettings, GeometrySettings, LoraSettings
from sam2lora.targets import Target, get_target


def invoke(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(
        app, ["adapters", *arguments], input=answer, catch_exceptions=False, env={"COLUMNS": "200"}
    )


def run(*arguments: str, answer: str = "") -> str:
    result = invoke(*arguments, answer=answer)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory):
    """Create an adapter for a target that is not installed."""
    base, lora = load_base("nano"), LoraSettings(rank=2, alpha=4)
    card = AdapterCard.model_validate(
        {
            "name": "drusen-nano",
            "target": Target(name="drusen", label=9, color="#123456"),
            "base": {"name": "nano", "identity": base.weights_sha256},
            "geometry": GeometrySettings(),
            "lora": lora,
            "threshold": 0.5,
            "trainable": 17728,
            "share": 0.57,
            "validation": {"dice": 0.8125},
            "created": now(),
            "license": "CC BY-NC 4.0",
        }
    )
    tensors = lora_tensors(add_lora(base.network, lora))
    return save_adapter(tensors, card, tmp_path_factory.mktemp("made") / "drusen-nano")


@pytest.fixture
def installed(original) -> None:
    install_adapter(original)


def names() -> list[str]:
    return [adapter.name for adapter in list_adapters() if not adapter.shipped]


@pytest.mark.usefixtures("installed")
def test_list_shows_adapters_and_unusable_folders():
    (adapters_folder() / "empty").mkdir()
    shown = run("list")
    for part in ("drusen-nano", "drusen", "nano", "2", "0.57 %", "0.812", "Not usable:", "empty"):
        assert part in shown
    assert str(adapters_folder()) in shown


def test_empty_list_suggests_training_or_importing(monkeypatch):
    monkeypatch.setattr("sam2lora.adapters.store.shipped_folder", lambda: Path("nowhere"))
    assert "There is no adapter yet. Train one, or import one." in run("list")


@pytest.mark.usefixtures("installed")
def test_info_by_name_by_path_and_as_json(original):
    shown = run("info", "drusen-nano")
    for part in ("CC BY-NC 4.0", "rank 2", "17728 weights", original.digest(), "0.8125"):
        assert part in shown
    assert "created" in run("info", str(original.folder))
    content = json.loads(invoke("info", "drusen-nano", "--json").output)
    assert content["target"]["name"] == "drusen"
    with pytest.raises(AdapterError, match="Installed: drusen-nano"):
        invoke("info", "none")


def test_info_describes_a_detail_head(make_adapter):
    made = make_adapter("fine", detail_head=DetailHeadSettings(channels=(4, 6, 8)))
    found = run("info", str(made.folder))
    assert "4-6-8 channels, of red, green and blue, contrast, embedding, logits" in found


def test_import_of_an_exported_adapter_adds_its_target(original, tmp_path: Path):
    shown = run("export", str(original.folder), "--out", str(tmp_path))
    path = tmp_path / "drusen-nano.zip"
    assert str(path) in shown
    assert "CC BY-NC 4.0" in shown
    shown = run("import", str(path))
    assert "drusen-nano is installed: drusen on nano." in shown
    assert "New target: 'drusen', label value 9." in shown
    assert get_target("drusen").label == 9
    with pytest.raises(AdapterError, match="already exists"):
        invoke("import", str(path))
    assert "New target" not in run("import", str(path), "--replace")
    run("import", str(path), "--name", "second")
    assert names() == ["drusen-nano", "second"]


def test_import_takes_a_folder(original):
    assert "my-drusen is installed" in run("import", str(original.folder), "--name", "my-drusen")
    assert names() == ["my-drusen"]


@pytest.mark.usefixtures("installed")
def test_rename():
    assert "drusen-nano is renamed to better." in run("rename", "drusen-nano", "better")
    assert names() == ["better"]


@pytest.mark.usefixtures("installed")
def test_delete_asks_for_confirmation():
    refused = invoke("delete", "drusen-nano", answer="n\n")
    assert refused.exit_code == 1
    assert "Delete drusen-nano in" in refused.output
    assert names() == ["drusen-nano"]
    run("delete", "drusen-nano", answer="y\n")
    assert names() == []
    with pytest.raises(AdapterError, match="None of your adapters"):
        invoke("delete", "drusen-nano")


@pytest.mark.usefixtures("installed")
def test_delete_with_yes_does_not_ask():
    assert "Delete" not in run("delete", "drusen-nano", "--yes")
    assert names() == []


def test_push_and_pull(original, monkeypatch: pytest.MonkeyPatch):
    requested = {}
    monkeypatch.setattr(
        huggingface_hub,
        "create_repo",
        lambda name, **options: requested.update(name=name, **options),
    )
    monkeypatch.setattr(huggingface_hub, "upload_folder", lambda **_: "https://hub/1")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: original.folder)
    assert "drusen-nano is uploaded: https://hub/1" in run("push", str(original.folder), "me/a")
    assert (requested["name"], requested["private"]) == ("me/a", True)
    run("push", str(original.folder), "me/a", "--public")
    assert requested["private"] is False
    assert "mine is installed" in run("pull", "me/a", "--revision", "v1", "--name", "mine")
    assert names() == ["mine"]


@pytest.mark.usefixtures("installed")
def test_markup_in_a_card_is_not_interpreted(original):
    path = adapters_folder() / "drusen-nano" / "sam2lora.json"
    content = json.loads(path.read_text()) | {"license": "[red]free[/red] [link=x]"}
    path.write_text(json.dumps(content))
    assert "[red]free[/red] [link=x]" in run("info", "drusen-nano")
