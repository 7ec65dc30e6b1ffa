import dataclasses
import hashlib
from pathlib import Path

import pytest

from sam2lora.errors import ModelError
from sam2lora.models.registry import BASE_MODELS, BaseModel, fetch_base, get_base, verify_base

CONTENT = bytes(range(256)) * 100


@pytest.fixture
def tiny(file_server) -> BaseModel:
    """Return a stand-in for tiny, served by a local server."""
    file_server.content = CONTENT
    return dataclasses.replace(
        BASE_MODELS["tiny"],
        url=file_server.url,
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
    )


def rejected(base: BaseModel) -> Path:
    return base.path.with_name(base.path.name + ".rejected")


def test_registry_is_complete():
    assert list(BASE_MODELS) == ["nano", "tiny", "small", "base_plus", "large"]
    assert all(name == base.name for name, base in BASE_MODELS.items())
    assert len({(base.width, base.depth) for base in BASE_MODELS.values()}) == 5
    for base in BASE_MODELS.values():
        if not base.embedded:
            assert base.url.startswith("https://")
            assert len(base.sha256) == 64
            assert base.path.parent.name == "cache"
    assert BASE_MODELS["nano"].path.parent.name == "assets"


def test_unknown_model_error_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"'huge'.*nano, tiny, small, base_plus, large"):
        get_base("huge")
    assert get_base("tiny") is BASE_MODELS["tiny"]


def test_base_model_is_downloaded_once(tiny: BaseModel, file_server):
    assert fetch_base(tiny) == tiny.path
    assert fetch_base(tiny, offline=True) == tiny.path
    assert tiny.path.read_bytes() == CONTENT
    assert len(file_server.ranges) == 1


@pytest.mark.parametrize("by_setting", [True, False])
def test_offline_error_says_which_file_to_put_where(
    tiny: BaseModel, file_server, by_setting: bool, monkeypatch: pytest.MonkeyPatch
):
    if by_setting:
        monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    with pytest.raises(ModelError) as caught:
        fetch_base(tiny, offline=None if by_setting else True)
    for word in (tiny.url, str(tiny.path), tiny.sha256, "--model"):
        assert word in str(caught.value)
    assert file_server.ranges == []


def test_manually_placed_file_is_used_if_right(tiny: BaseModel, file_server):
    tiny.path.parent.mkdir(parents=True)
    tiny.path.write_bytes(CONTENT)
    assert fetch_base(tiny, offline=True) == tiny.path
    assert file_server.ranges == []


@pytest.mark.parametrize("content", [CONTENT[:-1], b"", CONTENT[:-1] + b"?"])
def test_wrong_file_is_moved_aside_and_replaced(tiny: BaseModel, content: bytes):
    tiny.path.parent.mkdir(parents=True)
    tiny.path.write_bytes(content)
    with pytest.raises(ModelError, match="moved to"):
        fetch_base(tiny)
    assert not tiny.path.exists()
    assert rejected(tiny).read_bytes() == content
    assert fetch_base(tiny).read_bytes() == CONTENT


def test_file_changed_after_verification_is_noticed(tiny: BaseModel):
    fetch_base(tiny)
    fetch_base(tiny)
    with tiny.path.open("ab") as stream:
        stream.write(b"?")
    with pytest.raises(ModelError, match="moved to"):
        fetch_base(tiny)


def test_file_is_verified_again_only_on_request(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch):
    fetch_base(tiny)
    verify_base(tiny)
    checks = []
    monkeypatch.setattr("sam2lora.models.registry.check_file", lambda *_, **__: checks.append(1))
    verify_base(tiny)
    assert checks == []
    verify_base(tiny, again=True)
    assert checks == [1]


def test_the_embedded_model_is_not_fetched():
    with pytest.raises(ModelError, match="comes with the package"):
        fetch_base(BASE_MODELS["nano"])
