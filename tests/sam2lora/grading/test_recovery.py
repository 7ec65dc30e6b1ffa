"""What is not saved yet is whole at any instant, whenever its writer is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import RecoveryFile
from sam2lora.grading.entries import CommentEntry, read_entries

KILLS = 50

WRITER = """
    import os, sys, time
    import numpy as np
    from pathlib import Path
    from sam2lora.grading.entries import CommentEntry, append_entry
    from sam2lora.grading.recovery import RecoveryFile

    file = RecoveryFile(Path(sys.argv[1]))
    rng = np.random.default_rng(0)
    for line in sys.stdin:  # one line starts one writer, which is killed from outside
        child = os.fork()
        if child == 0:
            number = int(line)
            while True:
                number += 1
                mask = rng.random((80, 80)) < 0.5
                mask.flat[0] = number % 2
                undo = np.full(10, number)
                file.write("a", notes={"number": number}, arrays={"mask": mask, "undo": undo})
                append_entry(file.path.with_name("log"), CommentEntry(image="a", text=str(number)))
                os.write(1, f"{os.getpid()} {number}\\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"killed\\n")
"""


@pytest.fixture
def file(tmp_path: Path) -> RecoveryFile:
    return RecoveryFile(tmp_path / "recovery.npz")


def test_what_was_written_is_read_and_discarded(file: RecoveryFile):
    assert file.read() is None
    before = datetime.now(UTC)
    mask = np.eye(5, dtype=bool)
    notes = {"prompts": [[1.5, 2.5, True]], "target": "disc"}
    file.write("é 1", notes=notes, arrays={"mask": mask, "undo/0": np.arange(3)})
    found = file.read()
    assert found is not None
    assert (found.image, found.notes) == ("é 1", notes)
    assert before <= found.saved <= datetime.now(UTC)
    np.testing.assert_array_equal(found.arrays["mask"], mask)
    np.testing.assert_array_equal(found.arrays["undo/0"], np.arange(3))
    assert set(found.arrays) == {"mask", "undo/0"}
    file.discard()
    file.discard()
    assert file.read() is None


def test_what_cannot_be_stored_keeps_the_file_before(
    file: RecoveryFile, monkeypatch: pytest.MonkeyPatch
):
    file.write("a", notes={}, arrays={})
    with pytest.raises(TypeError, match="undo: an array of objects"):
        file.write("b", notes={}, arrays={"undo": np.array([{}])})
    with pytest.raises(TypeError, match="not JSON serializable"):
        file.write("b", notes={"path": Path()}, arrays={})  # type: ignore[dict-item]

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"recovery\.npz: cannot be written \(No space"):
        file.write("b", notes={}, arrays={})
    found = file.read()
    assert found is not None
    assert found.image == "a"
    assert [path.name for path in file.path.parent.iterdir()] == ["recovery.npz"]


@pytest.mark.parametrize("keep", [0, 10, -40])
def test_damaged_file_is_explained_and_stays(file: RecoveryFile, keep: int):
    file.write("a", notes={}, arrays={"mask": np.ones((20, 20), bool)})
    content = file.path.read_bytes()[:keep]
    file.path.write_bytes(content)
    with pytest.raises(SessionError, match=r"recovery\.npz: is damaged.*not affected"):
        file.read()
    assert file.path.read_bytes() == content


def test_flipped_byte_is_explained_or_does_no_harm(file: RecoveryFile):
    mask = np.random.default_rng(0).random((20, 20)) < 0.5
    file.write("a", notes={"n": 1}, arrays={"mask": mask})
    content = file.path.read_bytes()
    refused = 0
    for position in range(len(content)):
        for flip in (0x01, 0xFF):
            damaged = bytearray(content)
            damaged[position] ^= flip
            file.path.write_bytes(damaged)
            try:
                found = file.read()
            except SessionError:
                refused += 1
                continue
            assert found is not None
            assert found.notes == {"n": 1}
            assert all(np.array_equal(array, mask) for array in found.arrays.values())
    assert refused > len(content)


def test_array_called_as_an_argument_is_one(file: RecoveryFile):
    arrays = {name: np.arange(3) for name in ("file", "allow_pickle", "notes.json", "a.npy")}
    file.write("a", notes={}, arrays=arrays)
    found = file.read()
    assert found is not None
    assert set(found.arrays) == set(arrays)


def test_array_of_objects_in_a_file_is_not_loaded(file: RecoveryFile):
    file.write("a", notes={}, arrays={})
    import zipfile

    with zipfile.ZipFile(file.path, "a") as archive, archive.open("x.npy", "w") as stream:
        np.lib.format.write_array(stream, np.array([{}]), allow_pickle=True)
    with pytest.raises(SessionError, match="is damaged"):
        file.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_writers_leave_a_whole_file_and_log(file: RecoveryFile):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    script = "\n".join(line.removeprefix("    ") for line in WRITER.splitlines())
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        number = 0
        for _ in range(KILLS):
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            writer, written = process.stdout.readline().split()
            time.sleep(chance.uniform(0, 0.03))
            os.kill(int(writer), signal.SIGKILL)
            while (line := process.stdout.readline()) != "killed\n":
                written = line.split()[1]
            found = file.read()
            assert found is not None, f"seed {seed}"
            number = int(found.notes["number"])  # type: ignore[arg-type]
            # All that was reported is there, or the one begun after it; and it is of one piece.
            assert number in (int(written), int(written) + 1), f"seed {seed}"
            assert found.arrays["mask"].flat[0] == number % 2
            assert (found.arrays["undo"] == number).all()
            entries = read_entries(file.path.with_name("log"))
            last = entries[-1]
            assert all(isinstance(entry, CommentEntry) for entry in entries)
            assert isinstance(last, CommentEntry)
            assert int(last.text) in (number - 1, number), f"seed {seed}"
        process.stdin.close()
    file.write("a", notes={}, arrays={})
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["log", "recovery.npz"]


def test_file_that_is_set_aside_is_not_replaced(tmp_path: Path):
    file = RecoveryFile(tmp_path / "recovery.npz")
    file.write("eye1", notes={"number": 1}, arrays={})
    aside = file.set_aside()
    file.write("eye2", notes={}, arrays={})
    assert [one.path for one in file.aside()] == [aside.path]
    assert file.aside()[0].read().image == "eye1"
    file.set_aside(damaged=True)
    assert [one.path for one in file.aside()] == [aside.path]
    with pytest.raises(OutputError):
        file.set_aside()
    with pytest.raises(OutputError, match="closed"):
        RecoveryFile(aside.path, read_only="closed").set_aside()


def test_file_that_was_set_aside_is_put_back(tmp_path: Path):
    file = RecoveryFile(tmp_path / "recovery.npz")
    file.write("eye1", notes={}, arrays={})
    aside = file.set_aside()
    file.write("eye2", notes={}, arrays={})
    file.put_back(aside)
    assert file.read().image == "eye1"
    assert file.aside() == []
    with pytest.raises(OutputError):
        file.put_back(aside)
