"""Damaged files of every format are read or refused, never anything else."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import Sam2LoraError
from scripts.fuzz_readers import Seed, make_seeds, mutate, run


@pytest.fixture(autouse=True)
def _own_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2LORA_ADAPTERS", str(tmp_path / "adapters"))


def _write(seed: Seed, folder: Path) -> Path:
    folder.mkdir()
    for name, content in seed.files.items():
        (folder / name).write_bytes(content)
    return folder


def test_intact_file_of_each_format_is_read(tmp_path: Path):
    (tmp_path / "made").mkdir()
    for number, seed in enumerate(make_seeds(tmp_path / "made")):
        try:
            seed.read(_write(seed, tmp_path / str(number)))
        except Sam2LoraError as error:
            pytest.fail(f"{seed.kind} {seed.name}: {error}")


def test_mutants_depend_on_the_seed_alone():
    content = bytes(range(256)) * 4
    first, again, other = (
        [mutate(content, np.random.default_rng(seed)) for _ in range(1)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert content not in first


def test_damaged_files_are_read_or_refused_in_one_or_two_lines():
    outcomes, failures = run(1000, 0)
    assert failures == []
    total = sum(outcomes.values(), Counter())
    assert total["read"] > 100  # the damage is not always noticed
    assert total["refused"] > 500
