"""The curves of a training: the loss with every term, and the validation Dice."""

from collections.abc import Mapping
from html import escape
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_sam2lora.training.run.history import ValidationCurve

COLORS = ("#4363d8", "#f58231", "#3cb44b", "#e6194b", "#911eb4", "#42d4f4", "#bfae00")
"""Of the loss, its terms in their order, and further runs."""

_HEIGHT = 90  # least pixels of each plot
_AXIS = 48  # pixels beside each plot, so that the steps of both plots are aligned
_LEAST, _MOST = -0.02, 1.02  # of a Dice, with room for its mark
_SPAN = 0.02  # of a Dice that is shown at least: finer figures do not fit beside the plot
_FEWEST = 10  # steps that are shown, so that no fraction is written
_GRAY = "#909090"  # is seen on napari's dark and light windows


class Curves(QWidget):
    """Two plots over the steps, one above the other.

    Only what changed is drawn again, and a long run is downsampled to the pixels of the plot.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loss, self._dice = _plot("loss"), _plot("validation Dice")
        self._dice.setXLink(self._loss)
        self._dice.setLimits(yMin=_LEAST, yMax=_MOST, minYRange=_SPAN)
        self._legend = QLabel()  # of rich text
        self._legend.setWordWrap(True)
        self._lines: dict[tuple[str, str], pg.PlotDataItem] = {}
        self._start: pg.InfiniteLine | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._legend)
        layout.addWidget(self._loss)
        layout.addWidget(self._dice)

    def show_run(
        self,
        losses: Mapping[str, ValidationCurve],
        dice: ValidationCurve,
        start: float | None = None,
        *,
        measure: str = "Dice",
    ) -> None:
        """Show one run.

        Parameters
        ----------
        losses
            Name of the loss and of each term to its curve.
        dice
            Curve of the validation Dice.
        start
            Dice of the initial adapter, drawn as a dashed line.
        measure
            Name of what the validation measures, if it is not the Dice.
        """
        _set_title(self._dice, f"validation {measure}")
        wanted = {("loss", name): curve for name, curve in losses.items()}
        wanted["dice", "Dice"] = dice
        self._show(wanted)
        if self._start is not None:
            self._dice.removeItem(self._start)
            self._start = None
        if start is not None:
            pen = pg.mkPen(COLORS[1], style=pg.QtCore.Qt.PenStyle.DashLine)
            options = {"position": 0.8, "color": COLORS[1]}
            self._start = pg.InfiniteLine(start, 0, pen, label="start", labelOpts=options)
            self._dice.addItem(self._start)

    def compare(
        self, runs: Mapping[str, tuple[ValidationCurve, ValidationCurve]], *, measure: str = "Dice"
    ) -> None:
        """Show the loss and the Dice, or another measure, of several runs: name to both curves."""
        _set_title(self._dice, f"validation {measure}")
        wanted = {("loss", name): curves[0] for name, curves in runs.items()}
        wanted |= {("dice", name): curves[1] for name, curves in runs.items()}
        self._show(wanted)
        if self._start is not None:
            self._dice.removeItem(self._start)
            self._start = None

    def _show(self, wanted: Mapping[tuple[str, str], ValidationCurve]) -> None:
        for key in [key for key in self._lines if key not in wanted]:
            self._plots[key[0]].removeItem(self._lines.pop(key))
        order = {"loss": 0, "dice": 0}
        entries = []
        for key, (steps, values) in wanted.items():
            index, order[key[0]] = order[key[0]], order[key[0]] + 1
            color = COLORS[index % len(COLORS)]
            if key not in self._lines:
                self._lines[key] = self._plots[key[0]].plot([], [])
            # Its index, and so its color, may differ from before.
            self._lines[key].setData(steps, values, **_style(key, color))
            if key[0] == "loss":
                entries.append(f'<span style="color: {color}">━</span>\u00a0{escape(key[1])}')
        last = max((steps[-1] for steps, _ in wanted.values() if steps), default=0)
        self._loss.setXRange(0, max(_FEWEST, last))
        self._legend.setText("&nbsp; ".join(entries))
        self._legend.setVisible(bool(entries))

    @property
    def _plots(self) -> dict[str, pg.PlotWidget]:
        return {"loss": self._loss, "dice": self._dice}


def _style(key: tuple[str, str], color: str) -> dict[str, Any]:
    """Return the style of a line, with a mark at each validation."""
    plot, name = key
    width = 2 if plot == "dice" or name == "loss" else 1
    style = {"pen": pg.mkPen(color, width=width)}
    if plot == "dice":
        style |= {"symbol": "o", "symbolSize": 5, "symbolBrush": color, "symbolPen": None}
    return style


class _Plot(pg.PlotWidget):
    """A plot whose hint is its least height: its own is taller than a laptop's dock.

    A hint that is ignored counts as none beside text that wraps, and the plot vanishes.
    """

    def sizeHint(self) -> QSize:
        return QSize(0, _HEIGHT)


def _plot(title: str) -> pg.PlotWidget:
    plot = _Plot(background=None)
    plot.setMinimumHeight(_HEIGHT)
    plot.setDownsampling(auto=True, mode="mean")
    plot.setClipToView(True)
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(x=False, y=False)
    plot.hideButtons()
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(_GRAY)
        axis.setTextPen(_GRAY)
        axis.enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(_AXIS)
    _set_title(plot, title)
    return plot


def _set_title(plot: pg.PlotWidget, title: str) -> None:
    plot.setTitle(title, color=_GRAY, size="8pt")
