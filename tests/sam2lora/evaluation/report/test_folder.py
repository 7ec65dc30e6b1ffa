"""The folder of a report appears complete, and never replaces anything but a report."""

import subprocess
import sys
from pathlib import Path

import pytest

from sam2lora.errors import OutputError, ReportError
from sam2lora.evaluation.report.folder import check_output, report_folder
from sam2lora.evaluation.report.schema import read_report


def write(out: Path, text: str = "new") -> None:
    with report_folder(out) as folder:
        (folder / "report.json").write_text(text)
        (folder / "masks").mkdir()
        (folder / "masks" / "a.png").write_text(text)


def write_half(out: Path, error: type[BaseException]) -> None:
    with report_folder(out) as folder:
        (folder / "report.json").write_text("half")
        raise error


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_report_appears_only_when_complete(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    with report_folder(out) as folder:
        (folder / "report.json").write_text("new")
        assert not out.exists()
    assert everything(tmp_path / "deep") == {"report", "report/report.json"}


def test_existing_report_is_replaced_completely(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write(out, "old")
    (out / "masks" / "old.png").write_text("old")
    write(out, "new")
    assert everything(tmp_path) == {
        *("report", "report/report.json", "report/masks", "report/masks/a.png")
    }
    assert (out / "report.json").read_text() == "new"


REPLACE = """
import sys
from pathlib import Path
from sam2lora.evaluation.report.folder import report_folder
from sam2lora.utils import folders
folders.exchange = lambda *_: False  # as on Windows
rename = Path.rename

def pause_there(self, target):
    if target == Path(sys.argv[1]):
        print("existing report moved", flush=True)
        sys.stdin.read()
    return rename(self, target)

Path.rename = pause_there
with report_folder(Path(sys.argv[1])) as folder:
    (folder / "report.json").write_text("new")
"""


def kill_while_replacing(out: Path) -> None:
    """Kill a process after it moved the existing report away, before it moves the new one there."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", REPLACE, str(out)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline().strip() == b"existing report moved"
        process.kill()
    assert not out.exists()


def test_report_survives_process_killed_while_replacing_it(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write(out, "old")
    before = everything(tmp_path)
    kill_while_replacing(out)
    check_output(out)
    with pytest.raises(RuntimeError):
        write_half(out, RuntimeError)
    assert (out / "report.json").read_text() == "old"
    assert everything(tmp_path) == before
    kill_while_replacing(out)
    write(out, "newer")
    assert (out / "report.json").read_text() == "newer"
    assert everything(tmp_path) == before


def test_reading_restores_report_after_interrupted_replacement(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write(out, "old")
    kill_while_replacing(out)
    with pytest.raises(ReportError, match="not JSON"):  # restored before reading
        read_report(out)
    assert (out / "report.json").read_text() == "old"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_error_keeps_the_existing_report_and_leaves_nothing_else(
    tmp_path: Path, error: type
) -> None:
    out = tmp_path / "report"
    write(out, "old")
    before = everything(tmp_path)
    with pytest.raises(error):
        write_half(out, error)
    assert everything(tmp_path) == before
    assert (out / "report.json").read_text() == "old"


def test_empty_folder_and_comparison_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    write(tmp_path / "report")
    (tmp_path / "report" / "report.json").rename(tmp_path / "report" / "comparison.json")
    write(tmp_path / "report")
    assert (tmp_path / "report" / "report.json").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["holiday.jpg"], "is not empty and not a report"),
        (["masks/a.png"], "is not empty and not a report"),
        (["report.json", "holiday.jpg"], "contains 'holiday.jpg'"),
        (["report.json", "notes.md"], "contains 'notes.md'"),
    ],
)
def test_folder_that_is_not_a_report_is_not_replaced(
    tmp_path: Path, names: list[str], message: str
) -> None:
    out = tmp_path / "mine"
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(OutputError, match=message):
        check_output(out)
    with pytest.raises(OutputError, match=message), report_folder(out):
        raise AssertionError("writing has started")
    assert everything(tmp_path) == before


def test_folder_created_during_writing_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "report"

    def write_slowly() -> None:
        with report_folder(out):
            out.mkdir()
            (out / "holiday.jpg").write_text("mine")

    with pytest.raises(OutputError, match="not a report"):
        write_slowly()
    assert everything(tmp_path) == {"report", "report/holiday.jpg"}


def test_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        check_output(tmp_path / "report")


def test_unwritable_output_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        check_output(tmp_path / "file" / "report")
    with (
        pytest.raises(OutputError, match=r"report: cannot be written \(No space left"),
        report_folder(tmp_path / "report"),
    ):
        raise OSError(28, "No space left on device")
