"""Results as a file."""

from pathlib import Path

import pytest

from sam2lora.benchmarking.questions import BenchmarkSettings
from sam2lora.benchmarking.result import Result, SideResult
from sam2lora.benchmarking.writing import read_results, write_results
from sam2lora.errors import BenchmarkError


def test_what_is_written_is_read_again(tmp_path: Path):
    side = SideResult(clock=(0.5,), processor=(0.25,), before=1, peak=2)
    result = Result(
        question="prompt",
        settings=BenchmarkSettings(rounds=1),
        machine={"cores": 2},
        device="cpu",
        threads=1,
        sides={"stock": side, "ours": side},
    )
    write_results(tmp_path / "out.json", [result, result])
    assert read_results(tmp_path / "out.json") == [result, result]


@pytest.mark.parametrize("content", ["", "{}x", '[{"question": "why"}]', "3"])
def test_another_file_is_refused_by_name(tmp_path: Path, content: str):
    (tmp_path / "out.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"out\.json"):
        read_results(tmp_path / "out.json")
