"""Plots of a report: Dice of each image, ROC curves, and Dice at other thresholds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sam2lora.evaluation.report.schema import CellEntry, Report
from sam2lora.evaluation.scoring import THRESHOLDS
from sam2lora.images.visualization import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which is safe for color-blind readers.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", ":", "-.")
_SIDE = 4.2  # inches of a panel
_DPI = 110


def save_plots(folder: Path, report: Report) -> None:
    """Write `dice.png`, and `roc.png` and `thresholds.png` if there are probabilities."""
    draw = {
        "dice.png": _dice_figure,
        "roc.png": _roc_figure,
        "thresholds.png": _threshold_figure,
    }
    for name in plot_names(report):
        save_figure(folder / name, draw[name](report))


def plot_names(report: Report) -> list[str]:
    """Return the file names of the plots of a report."""
    has_roc = any(cell.roc[0] for cell in report.cells)
    has_sweep = any(cell.sweep for cell in report.cells)
    return ["dice.png", *["roc.png"] * has_roc, *["thresholds.png"] * has_sweep]


def new_figure(width: float, height: float) -> "Figure":
    """Create an empty figure of a size in inches, independent of any window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_column(axes: "Axes", x: float, values: Sequence[float], color: str) -> None:
    """Draw values as a column of dots, jittered so that they can be told apart."""
    spread = np.random.default_rng(0).uniform(-0.2, 0.2, size=len(values))
    axes.plot(x + spread, values, "o", color=color, markersize=4, alpha=0.6, markeredgewidth=0)


def _dice_figure(report: Report) -> "Figure":
    cells = [cell for regime in report.settings.regimes for cell in _of_regime(report, regime)]
    figure = new_figure(max(3.6, 1.4 + 0.85 * len(cells)), 5.0)
    axes = figure.add_subplot()
    for x, cell in enumerate(cells):
        entries = report.scored(cell.model, cell.dataset, cell.regime)
        dice = [value for entry in entries if (value := entry.scores.get("dice")) is not None]
        draw_column(axes, x, dice, _line_style(report, cell)[0])
        if dice:
            mean = float(np.mean(dice))
            axes.plot([x - 0.32, x + 0.32], [mean, mean], color="black", linewidth=1.5)
            axes.annotate(
                f"{mean:.3f}",
                (x + 0.34, mean),
                fontsize=7.5,
                va="center",
            )
    names = [f"{_name(report, cell)}\n{cell.regime}" for cell in cells]
    axes.set_xticks(range(len(cells)), names, fontsize=8, rotation=90 if len(cells) > 3 else 0)
    axes.set_xlim(-0.6, len(cells) - 0.2)
    axes.set_ylim(top=1.01)
    axes.set_ylabel("Dice")
    axes.grid(axis="y", alpha=0.3)
    axes.set_title("Dice of each image, and their mean", fontsize=10, loc="left")
    return figure


def _roc_figure(report: Report) -> "Figure":
    figure = new_figure(*_grid_size(report))
    for axes, cells in _panels(figure, report):
        for cell in cells:
            if not cell.roc[0]:
                continue
            color, style = _line_style(report, cell)
            auc = cell.per_image["auc"].mean
            auc_text = "" if auc is None else f", AUC {auc:.4f}"
            axes.plot(*cell.roc, style, color=color, label=_name(report, cell) + auc_text)
            axes.plot(*_at_threshold(cell), "o", color=color, markersize=5)
        axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="false-positive rate", aspect="equal")
        axes.set_ylabel("true-positive rate")
        axes.legend(fontsize=7.5, loc="lower right")
    figure.suptitle(
        "ROC over the pixels of all images; the dot is the threshold used.\nAUC is the mean over "
        "the images",
        fontsize=9,
    )
    return figure


def _threshold_figure(report: Report) -> "Figure":
    figure = new_figure(*_grid_size(report))
    thresholds = {model.name: model.threshold for model in report.models}
    for axes, cells in _panels(figure, report):
        for cell in cells:
            if not cell.sweep:
                continue
            color, style = _line_style(report, cell)
            dice = [np.nan if value is None else value for value in cell.sweep]
            axes.plot(THRESHOLDS, dice, style, color=color, label=_name(report, cell))
            used, mean = thresholds[cell.model], cell.per_image["dice"].mean
            if used is not None and mean is not None:
                axes.plot([used], [mean], "o", color=color, markersize=5)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="threshold", ylabel="mean Dice")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7.5, loc="lower center")
    figure.suptitle(
        "For information: the threshold (dot) was fixed before the evaluation,\nit was not chosen "
        "here",
        fontsize=9,
    )
    return figure


def _panels(figure: "Figure", report: Report) -> Iterator[tuple["Axes", list[CellEntry]]]:
    """Yield a panel for each regime, with its cells that have curves."""
    regimes = _regimes_with_curves(report)
    rows, columns = _grid(len(regimes))
    for number, regime in enumerate(regimes):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.set_title(f"prompts: {regime}", fontsize=9, loc="left")
        yield axes, [cell for cell in _of_regime(report, regime) if cell.sweep]


def _regimes_with_curves(report: Report) -> list[str]:
    return [
        regime
        for regime in report.settings.regimes
        if any(cell.sweep for cell in _of_regime(report, regime))
    ]


def _grid(count: int) -> tuple[int, int]:
    columns = min(count, 3 if count != 4 else 2)
    return -(-count // columns), columns


def _grid_size(report: Report) -> tuple[float, float]:
    rows, columns = _grid(len(_regimes_with_curves(report)))
    return max(columns * _SIDE, 5.2), rows * _SIDE + 0.4


def _of_regime(report: Report, regime: str) -> list[CellEntry]:
    return [cell for cell in report.cells if cell.regime == regime]


def _name(report: Report, cell: CellEntry) -> str:
    """Return a label that distinguishes a cell from the others."""
    parts = [cell.dataset] if len(report.data) > 1 or len(report.models) == 1 else []
    parts += [cell.model] if len(report.models) > 1 else []
    return ", ".join(parts)


def _line_style(report: Report, cell: CellEntry) -> tuple[str, str]:
    """Return color and line style of a cell: by dataset and model, or color by model alone."""
    models = [model.name for model in report.models].index(cell.model)
    datasets = [data.dataset for data in report.data].index(cell.dataset)
    if len(report.data) == 1:
        return COLORS[models % len(COLORS)], "-"
    return COLORS[datasets % len(COLORS)], _STYLES[models % len(_STYLES)]


def _at_threshold(cell: CellEntry) -> tuple[list[float], list[float]]:
    """Return the point of the ROC curve at the threshold used, from the pooled counts."""
    sensitivity, specificity = cell.pooled["sensitivity"], cell.pooled["specificity"]
    if sensitivity is None or specificity is None:
        return [], []
    return [1 - specificity], [sensitivity]
