"""`sam2lora evaluate` on two existing reports."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.evaluation import EvaluateSettings, grader_candidate, plan_parts, write_report


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Write a report on discs and one on cups that score grader 1 against grader 1."""
    for name in ("save_plots", "save_galleries"):
        monkeypatch.setattr(
            f"sam2lora.evaluation.report.writer.{name}", lambda folder, report: None
        )
    root = tmp_path / "eyes"
    for name, cup in (("a", 10), ("b", 5)):
        for place, side in (("images", 64), ("masks/disc", 20), ("masks/cup", cup)):
            pixels = np.zeros((64, 64), np.uint8)
            pixels[-side:, :side] = 255
            (root / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert("RGB").save(root / place / f"{name}.png")
    made = []
    for target in ("disc", "cup"):
        settings = EvaluateSettings(target=target)
        candidates = [grader_candidate(settings, grader=1)]
        made.append(tmp_path / target)
        write_report(made[-1], candidates, plan_parts([root], settings), settings, command="x")
    return made[0], made[1]


def test_cup_disc_ratios_are_computed_from_two_reports(
    run_cli, reports: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = run_cli("evaluate", "--cup-disc", *reports, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert "eyes\tnone\t0.000\t0.375\t0.375\t2" in ran.out
    assert f"Ratios: {out / 'cup_disc.md'}" in ran.out
    assert "evaluate --cup-disc" in (out / "cup_disc.md").read_text(encoding="utf-8")


def test_options_without_effect_on_cup_disc_are_refused(
    run_cli, reports: tuple[Path, Path], tmp_path: Path
) -> None:
    args = ("evaluate", "--cup-disc", *reports, "--out", tmp_path / "out")
    ran = run_cli(*args, "--seed", 1)
    assert ran.code == 2
    message = " ".join(ran.err.split())
    assert "--cup-disc takes two existing reports" in message
    assert "it can be combined with --adapter, --out only, not with --seed." in message
    thrice = [word for _ in range(3) for word in ("--adapter", "x")]
    assert "at most twice" in run_cli(*args, *thrice).err
    assert not (tmp_path / "out").exists()
