"""Contact sheets of reports, by `scripts/contact_sheets.py`."""

from pathlib import Path

import numpy as np
from PIL import Image

from sam2lora.evaluation import EvaluateSettings, network_candidate, plan_parts
from sam2lora.evaluation.report.writer import write_report
from scripts.contact_sheets import PREDICTION, REFERENCE, SIDE, draw_sheets

from ..conftest import always, make_case, square


def test_every_image_is_shown_with_both_outlines_the_worst_first(
    write_set, spot, tmp_path: Path
) -> None:
    """The prediction is right in image 0, and farther off in each that follows."""
    settings = EvaluateSettings(target="spot")
    reports = []
    for name, numbers in {"one": (0, 6), "two": (3, 9)}.items():
        cases = {f"{n}": make_case(f"{n}", reference=square(20 + n, 20, 16)) for n in numbers}
        parts = plan_parts([write_set(name, cases)], settings)
        candidates = [network_candidate(always(square(20, 20, 16)), settings)]
        reports.append(tmp_path / f"report_{name}")
        write_report(reports[-1], candidates, parts, settings, command="x")
    (path,) = draw_sheets(tmp_path / "sheets", reports)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[1] == 4 * 2 * SIDE
    shifts = []
    for tile in np.split(sheet[:SIDE], 4, axis=1):
        ends = [
            np.flatnonzero((tile[:, :SIDE] == color).all(axis=-1).any(axis=0))[-1:]
            for color in (REFERENCE, PREDICTION)
        ]
        shifts.append(int(ends[0][0] - ends[1][0]) if len(ends[0]) else 0)
    assert shifts[-1] == 0  # the prediction's outline lies on that of the reference
    assert sorted(set(shifts), reverse=True) == shifts
