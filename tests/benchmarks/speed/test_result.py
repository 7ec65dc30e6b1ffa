"""Results: medians, ratios of the same round, the table."""

import json
import platform
from pathlib import Path

import pytest

from benchmarks.speed.definitions import BenchmarkError, BenchmarkSettings
from benchmarks.speed.result import (
    HEADER,
    BenchmarkResult,
    SideResult,
    describe_machine,
    markdown,
    read_results,
    write_results,
)


@pytest.fixture
def result() -> BenchmarkResult:
    ours = SideResult(clock=(1, 2, 30), processor=(1, 1, 1), before=100, peak=300 << 20)
    stock = SideResult(clock=(2, 8, 40), processor=(4, 4, 4), before=100, peak=400 << 20)
    return BenchmarkResult(
        question="encode",
        settings=BenchmarkSettings(base="tiny", rounds=3),
        machine={"processor": "Abacus", "cores": 2, "versions": {"torch": "2.9"}},
        device="cpu",
        threads=1,
        sides={"stock": stock, "ours": ours},
    )


def test_ratio_compares_turns_of_one_round(result: BenchmarkResult):
    assert result.ratio("ours", "clock") == 0.5  # of 1/2, 2/8 and 30/40
    assert result.ratio("ours", "processor") == 0.25
    assert result.memory_ratio("ours") == 0.75


def test_memory_ratio_on_a_gpu_uses_its_memory(result: BenchmarkResult):
    sides = {
        name: side.model_copy(update={"device_peak": peak})
        for (name, side), peak in zip(result.sides.items(), (1000, 400), strict=True)
    }
    assert result.model_copy(update={"sides": sides}).memory_ratio("ours") == 0.4


def test_rows_have_ratio_and_aim_except_for_the_peer(result: BenchmarkResult):
    peer, ours = result.rows("clock")
    assert len(peer) == len(ours) == len(HEADER)
    assert peer == ("encode, tiny", "stock", "8.00 s", "", "", "400 MiB", "", "")
    assert ours == ("encode, tiny", "ours", "2.00 s", "0.50", "≤ 0.55", "300 MiB", "0.75", "")


def test_short_times_are_in_milliseconds(result: BenchmarkResult):
    quick = result.sides["ours"].model_copy(update={"clock": (0.0125,) * 3})
    rows = result.model_copy(update={"sides": result.sides | {"ours": quick}}).rows("clock")
    assert rows[1][2] == "12.5 ms"


def test_table_has_the_conditions_of_the_measurement(result: BenchmarkResult):
    table = markdown([result, result], "clock").splitlines()
    assert len(table) == 2 + 4 + 1 + 1  # the same conditions once
    assert "Abacus" in table[-1]
    assert "torch 2.9" in table[-1]
    assert "3 rounds by the clock" in table[-1]


def test_machine_description_has_no_host_name():
    machine = describe_machine()
    assert machine["processor"]
    assert machine["versions"]["torch"]
    assert platform.node() not in json.dumps(machine) or not platform.node()


def test_written_results_are_read_again(tmp_path: Path):
    side = SideResult(clock=(0.5,), processor=(0.25,), before=1, peak=2)
    result = BenchmarkResult(
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
def test_invalid_results_file_is_named(tmp_path: Path, content: str):
    (tmp_path / "out.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"out\.json"):
        read_results(tmp_path / "out.json")
