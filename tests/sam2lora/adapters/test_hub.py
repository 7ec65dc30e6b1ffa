"""Sharing over the Hub, with the functions of huggingface_hub replaced: no network is used."""

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from sam2lora.adapters.folder import FILES, HEAD, Adapter
from sam2lora.adapters.hub import pull_adapter, push_adapter
from sam2lora.adapters.store import adapters_folder, find_adapter
from sam2lora.errors import AdapterError
from sam2lora.settings import DetailHeadSettings


class Hub:
    """Stand-in for the Hub that keeps the uploaded files and the arguments of each request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: dict[str, dict[str, Any]] = {}

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.requests["create"] = {"repo_id": repo_id, **options}

    def upload_folder(self, **options: Any) -> str:
        self.requests["upload"] = options
        self.folder.mkdir()
        for file in options["allow_patterns"]:
            if (Path(options["folder_path"]) / file).exists():
                shutil.copy(Path(options["folder_path"]) / file, self.folder)
        return "https://hub/commit/1"

    def snapshot_download(self, repo_id: str, **options: Any) -> str:
        self.requests["download"] = {"repo_id": repo_id, **options}
        return str(self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch) -> Hub:
    hub = Hub(tmp_path / "hub")
    for name in ("create_repo", "upload_folder", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, name, getattr(hub, name))
    return hub


@pytest.fixture
def made(make_adapter) -> Adapter:
    return make_adapter()


def test_pushed_adapter_is_pulled_unchanged(hub: Hub, made: Adapter, no_network: list[str]):
    (made.folder / "secrets.txt").write_text("mine")
    assert push_adapter(made, "me/vessel") == "https://hub/commit/1"
    assert hub.requests["create"] == {"repo_id": "me/vessel", "private": True, "exist_ok": True}
    assert hub.requests["upload"]["repo_id"] == "me/vessel"
    assert hub.requests["upload"]["delete_patterns"] == [HEAD], "of an earlier version"
    assert {path.name for path in hub.folder.iterdir()} == set(FILES)
    pulled = pull_adapter("me/vessel", revision="abc123", name="pulled")
    assert hub.requests["download"] == {
        "repo_id": "me/vessel",
        "revision": "abc123",
        "allow_patterns": [*FILES, HEAD],
    }
    assert pulled.digest() == made.digest()
    assert find_adapter("pulled").card == made.card.renamed("pulled")
    assert no_network == []


def test_a_detail_head_travels_too(hub: Hub, make_adapter):
    made = make_adapter(detail_head=DetailHeadSettings())
    push_adapter(made, "me/vessel")
    assert {path.name for path in hub.folder.iterdir()} == {*FILES, HEAD}
    assert pull_adapter("me/vessel", name="pulled").digest() == made.digest()


def test_a_repository_is_made_public_only_on_request(hub: Hub, made: Adapter):
    push_adapter(made, "me/vessel", private=False)
    assert hub.requests["create"]["private"] is False


def test_a_cache_of_links_is_copied_as_files(hub: Hub, made: Adapter):
    """The library's own cache consists of links into another folder."""
    hub.folder.mkdir()
    for file in FILES:
        (hub.folder / file).symlink_to(made.folder / file)
    installed = pull_adapter("me/vessel")
    assert not any((installed.folder / file).is_symlink() for file in FILES)


def test_pulled_adapter_is_checked(hub: Hub, made: Adapter):
    push_adapter(made, "me/vessel")
    (hub.folder / "adapter_model.safetensors").write_bytes(b"evil")
    with pytest.raises(AdapterError, match="truncated"):
        pull_adapter("me/vessel")
    (hub.folder / "sam2lora.json").unlink()
    with pytest.raises(AdapterError, match=r"sam2lora\.json is missing.*other programs"):
        pull_adapter("me/vessel")
    assert not adapters_folder().exists()


def test_a_taken_name_is_refused_unless_replaced(hub: Hub, made: Adapter):
    push_adapter(made, "me/vessel")
    pull_adapter("me/vessel")
    with pytest.raises(AdapterError, match="already exists"):
        pull_adapter("me/vessel")
    assert pull_adapter("me/vessel", replace=True).name == "vessel-test"


def test_a_damaged_adapter_is_not_uploaded(hub: Hub, made: Adapter):
    made.weights.unlink()
    with pytest.raises(AdapterError, match="missing"):
        push_adapter(made, "me/vessel")
    assert hub.requests == {}


def test_missing_network_is_reported(made: Adapter, no_network: list[str], monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    for attempt in (
        lambda: pull_adapter("me/vessel"),
        lambda: push_adapter(made, "me/vessel"),
        lambda: pull_adapter("not a name at all"),
    ):
        with pytest.raises(AdapterError, match="the request to the Hugging Face Hub failed"):
            attempt()
    assert no_network, "otherwise it proves nothing"
