"""The curves of runs."""

import re

import pyqtgraph as pg
import pytest
from qtpy.QtCore import Qt

from napari_sam2lora.training.progress_tab.curves import Curves

pytestmark = pytest.mark.viewer


@pytest.fixture
def curves(qtbot) -> Curves:
    made = Curves()
    qtbot.addWidget(made)
    return made


def lines(curves: Curves) -> dict[tuple[str, str], list[float]]:
    found = {key: line.getOriginalDataset()[1] for key, line in curves._lines.items()}
    return {key: [] if values is None else list(values) for key, values in found.items()}


def test_loss_terms_and_dice_are_drawn(curves: Curves) -> None:
    losses = {"loss": ([1, 2], [3.0, 2.0]), "bce": ([1, 2], [1.0, 0.5])}
    curves.show_run(losses, ([2], [0.7]), 0.5)
    assert lines(curves) == {
        ("loss", "loss"): [3.0, 2.0],
        ("loss", "bce"): [1.0, 0.5],
        ("dice", "Dice"): [0.7],
    }
    assert curves._start.value() == 0.5
    assert "bce" in curves._legend.text()


def test_curves_of_the_previous_run_are_removed(curves: Curves) -> None:
    curves.show_run({"loss": ([1], [3.0]), "cldice": ([1], [1.0])}, ([1], [0.7]), 0.5)
    curves.show_run({"loss": ([1], [2.0])}, ([], []))
    assert set(lines(curves)) == {("loss", "loss"), ("dice", "Dice")}
    assert curves._start is None
    assert "cldice" not in curves._legend.text()


def test_axes_fit_the_shown_curves(curves: Curves) -> None:
    curves.show_run({"loss": ([1, 90], [3.0, 1.0])}, ([0, 90], [0.9, 0.9]), 0.9)
    curves.resize(300, 300)
    curves.grab()
    steps, dice = curves._dice.viewRange()
    assert (steps[0] <= 0, steps[1] >= 90) == (True, True)  # the initial Dice is visible
    assert dice[1] < 1.1  # no Dice is above 1
    curves.show_run({"loss": ([1, 90], [3.0, 1.0])}, ([0, 90], [0.9, 0.9001]), 0.9)
    curves.grab()
    low, high = curves._dice.viewRange()[1]
    assert high - low == pytest.approx(0.02)  # its figures have three digits, which fit
    curves.show_run({}, ([], []))
    assert curves._loss.viewRange()[0][1] < 12  # no trace of the other run, no half steps


def test_compared_runs_have_loss_and_dice(curves: Curves) -> None:
    curves.show_run({"loss": ([1], [3.0])}, ([1], [0.7]), 0.5)
    curves.compare({"a<b": (([1], [1.0]), ([1], [0.6])), "c": (([1], [2.0]), ([1], [0.8]))})
    assert lines(curves)["dice", "c"] == [0.8]
    assert len(lines(curves)) == 4
    assert "a&lt;b" in curves._legend.text()


def test_legend_shows_colors_as_rich_text(curves: Curves) -> None:
    assert curves._legend.textFormat() != Qt.TextFormat.PlainText


def test_color_of_a_run_is_that_of_the_legend(curves: Curves) -> None:
    run = (([1, 2], [2.0, 1.0]), ([2], [0.6]))
    curves.compare({"a": run, "b": run, "c": run})
    curves.compare({"c": run, "a": run})
    legend = re.findall(r'color: (#\w+)">━</span>\u00a0(\w)', curves._legend.text())
    assert [name for _, name in legend] == ["c", "a"]
    for color, name in legend:
        for plot in ("loss", "dice"):
            line = curves._lines[plot, name]
            assert line.curve.opts["pen"].color().name() == color
        assert pg.mkBrush(line.scatter.opts["brush"]).color().name() == color
