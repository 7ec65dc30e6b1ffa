"""`sam2lora models`: list, download, verify and load base models."""

import dataclasses
import hashlib
import io
import os
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from sam2lora.cli import models
from sam2lora.errors import ModelError
from sam2lora.inference.pipeline import load_predictor
from sam2lora.models import registry as model_registry
from sam2lora.models.loading import load_base
from sam2lora.models.registry import BASE_MODELS, WEIGHTS_NOTICE, BaseModel


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.output.split())


@pytest.fixture
def tiny(file_server, stock_sam2, monkeypatch: pytest.MonkeyPatch) -> BaseModel:
    """Replace tiny by nano's weights on a local server."""
    stream = io.BytesIO()
    torch.save({"model": stock_sam2("nano").state_dict()}, stream)
    file_server.content = stream.getvalue()
    tiny = dataclasses.replace(
        BASE_MODELS["nano"],
        name="tiny",
        url=file_server.url,
        sha256=hashlib.sha256(file_server.content).hexdigest(),
        size=len(file_server.content),
    )
    table = dict(BASE_MODELS) | {"tiny": tiny}
    monkeypatch.setattr(model_registry, "BASE_MODELS", table)
    monkeypatch.setattr(models, "BASE_MODELS", table)
    return tiny


def test_list_shows_every_model_and_the_notice():
    text = run("list")
    for base in BASE_MODELS.values():
        assert base.name in text
        assert f"{base.parameters / 1e6:.1f} M" in text
    assert "Apache-2.0" in text
    assert WEIGHTS_NOTICE in text
    assert "no (156 MB)" in text


def test_list_needs_no_torch():
    code = (
        "import sys; from sam2lora.cli import models; models.list_models();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_download_verify_and_path(tiny: BaseModel, file_server):
    with pytest.raises(ModelError, match="sam2lora models download tiny"):
        run("verify", "tiny")
    assert "downloaded and verified" in run("download", "tiny")
    assert len(file_server.ranges) == 1
    text = run("verify", "tiny")
    assert load_base("tiny").weights_sha256 in text
    assert "as published" in text
    assert run("path", "tiny") == str(tiny.path)
    assert run("path") == str(tiny.path.parent)
    assert "tiny 3.2 M 512² yes" in run("list")


def test_verify_reads_the_file_again(tiny: BaseModel):
    run("download", "tiny")
    run("verify", "tiny")
    content = bytearray(tiny.path.read_bytes())
    status = tiny.path.stat()
    content[-1] ^= 1
    tiny.path.write_bytes(content)
    os.utime(tiny.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ModelError, match="moved to"):
        run("verify", "tiny")


def test_embedded_model_needs_no_download_and_can_be_verified():
    assert "nothing to download" in run("download", "nano")
    text = run("verify", "nano")
    assert str(BASE_MODELS["nano"].path) in text
    assert "3199249 parameters" in text


def test_verify_takes_a_file(tmp_path, stock_sam2):
    torch.save({"model": stock_sam2("nano").state_dict()}, tmp_path / "mine.pt")
    text = run("verify", str(tmp_path / "mine.pt"))
    assert "fits nano" in text
    assert load_base(tmp_path / "mine.pt").weights_sha256 in text


def test_loading_downloads_a_missing_model(tiny: BaseModel, file_server):
    for name, path in (("tiny", tiny.path), ("nano", BASE_MODELS["nano"].path)):
        with models.download_bar(name) as show:
            assert load_predictor(name, progress=show).base.path == path
    assert len(file_server.ranges) == 1


@pytest.mark.parametrize("command", ["download", "verify", "path"])
def test_unknown_model_is_refused(command: str):
    with pytest.raises(ModelError, match="'huge'"):
        run(command, "huge")


def test_download_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    real = models.Console
    monkeypatch.setattr(
        models, "Console", lambda stderr: real(file=stream, force_terminal=True, width=100)
    )
    with models.download_bar("tiny") as show:
        show(78_004_233, 156_008_466)
    assert "78.0/156.0 MB" in stream.getvalue()
