"""Checkpoints are read back unchanged, damage is named, and kill −9 never leaves half of one."""

import errno
import io
import json
import os
import random
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2lora.errors import ModelError, OutputError
from sam2lora.runs import load_checkpoint, save_checkpoint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pt"


def test_tensors_and_plain_values_are_read_back(path: Path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {
        "step": 7,
        "best": None,
        "dice": 0.25,
        "name": "Füße",
        "flags": (True, [1, 2]),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    save_checkpoint(path, state)
    assert list(path.parent.iterdir()) == [path]
    again = load_checkpoint(path)
    assert isinstance(again["model"], OrderedDict)
    assert torch.equal(again["model"]["weight"], model.weight)
    assert torch.equal(again["half"], state["half"])
    new = torch.optim.AdamW(model.parameters())
    new.load_state_dict(again["optimizer"])
    assert torch.equal(new.state[model.weight]["exp_avg"], optimizer.state[model.weight]["exp_avg"])
    plain = ("step", "best", "dice", "name", "flags")
    assert {name: again[name] for name in plain} == {name: state[name] for name in plain}


def test_tensors_are_loaded_to_the_requested_device(path: Path):
    save_checkpoint(path, {"a": torch.ones(2)})
    assert load_checkpoint(path, map_location="meta")["a"].device.type == "meta"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"best": np.float64(0.5)}, r"state\['best'\] is a float64"),
        ({"a": [0, {"b": Path("x")}]}, r"state\['a'\]\[1\]\['b'\] is a \w*Path"),
        ({"a": {torch.float32: 1}}, r"a key of state\['a'\] is a dtype"),
        ({"a": {1, 2}}, r"state\['a'\] is a set"),
    ],
)
def test_values_that_cannot_be_read_back_are_refused(path: Path, value: dict, place: str):
    with pytest.raises(TypeError, match=place):
        save_checkpoint(path, value)
    assert not path.exists()


def test_missing_checkpoint_is_reported(path: Path):
    with pytest.raises(ModelError, match=r"checkpoint\.pt: there is no checkpoint yet"):
        load_checkpoint(path)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_checkpoint_error_says_what_to_do(path: Path, share: float):
    save_checkpoint(path, {"a": torch.ones(10_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"checkpoint\.pt: is truncated or corrupt .*adapters"):
        load_checkpoint(path)


def test_one_changed_bit_in_a_tensor_is_noticed(path: Path):
    value = torch.arange(10_000, dtype=torch.float32)
    save_checkpoint(path, {"a": value})
    content = bytearray(path.read_bytes())
    content[content.find(value[5000:5004].numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not as it was written"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", ["text", 3, [1], torch.ones(1)])
def test_other_files_are_refused_as_checkpoints(path: Path, content: object):
    torch.save(content, path)
    with pytest.raises(ModelError, match="not hold the state of a training"):
        load_checkpoint(path)


def test_a_file_that_could_run_code_is_not_loaded(path: Path):
    torch.save({"a": Path("x")}, path)
    with pytest.raises(ModelError, match="more than tensors and plain values"):
        load_checkpoint(path)


def test_error_about_an_old_file_does_not_advise_to_run_it(path: Path):
    torch.save({"a": OrderedDict(b=Path("x"))}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match="truncated or corrupt") as caught:
        load_checkpoint(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_full_disk_is_reported_and_keeps_the_older_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_checkpoint(path, {"step": 1})
    opened = Path.open

    def full(self: Path, *args: str) -> object:
        return opened(Path("/dev/full") if args == ("wb",) else self, *args)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"checkpoint\.pt: cannot be written \(No space left"):
        save_checkpoint(path, {"step": 2, "a": torch.ones(100_000)})
    monkeypatch.undo()
    assert load_checkpoint(path) == {"step": 1}
    assert list(path.parent.iterdir()) == [path]


class SmallDisk(io.FileIO):
    """A file on a disk with room for so many bytes."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path, "w")
        self.room = room

    def write(self, content) -> int:
        fitting = memoryview(content).cast("B")[: self.room - self.tell()]
        if not fitting:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fitting)


@pytest.mark.parametrize("room", [0, 1000, 5000, 100_000, 400_000])
def test_disk_that_fills_while_writing_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch, room: int
):
    save_checkpoint(path, {"step": 1})
    opened = Path.open

    def small(self: Path, *args: str) -> object:
        if args == ("wb",):
            return io.BufferedWriter(SmallDisk(self, room))
        return opened(self, *args)

    monkeypatch.setattr(Path, "open", small)
    with pytest.raises(OutputError, match=r"checkpoint\.pt: cannot be written \(No space left"):
        save_checkpoint(path, {f"tensor {index}": torch.ones(10_000) for index in range(11)})
    monkeypatch.undo()
    assert load_checkpoint(path) == {"step": 1}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no folders to sync")
def test_checkpoint_file_and_then_its_folder_are_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    synced = []

    def fsync(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    save_checkpoint(path, {"step": 1})
    assert synced == [(path.stat().st_ino, False), (path.parent.stat().st_ino, True)]


WRITER = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
from sam2lora.runs import load_checkpoint, save_checkpoint

torch.set_num_threads(1)
path, seed = Path(sys.argv[1]), int(sys.argv[2])
draw, found, half = random.Random(seed), [0], 0

def save(step):
    save_checkpoint(path, {"step": step, "a": torch.full((3_000_000,), float(step))})

save(0)
for _ in range(12):
    writer = os.fork()
    if writer == 0:
        for step in range(found[-1] + 1, 10**9):
            save(step)
    time.sleep(draw.uniform(0.02, 0.2))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    half += len(list(path.parent.glob(".sam2lora-*.pt")))
    for file in path.parent.glob(".sam2lora-*.pt"):
        file.unlink()
    state = load_checkpoint(path)
    assert bool((state["a"] == state["step"]).all()), state
    assert state["step"] >= found[-1]
    found.append(state["step"])
print(json.dumps({"found": found, "half": half}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork (POSIX)")
def test_kill_at_any_time_leaves_a_whole_checkpoint(path: Path):
    seed = random.randrange(10**6)
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    result = json.loads(done.stdout)
    assert result["found"][-1] > 0, f"seed {seed}: never written: {result}"
    assert result["half"] >= 1, f"seed {seed}: never killed while writing: {result}"
