"""The folder of a comparison: tables, a plot, and the images that differ most."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lora.evaluation.report.comparison import (
    COMPARISON,
    DifferenceEntry,
    PairEntry,
    Pairs,
    ReportComparison,
    Side,
    make_comparison,
)
from sam2lora.evaluation.report.folder import check_apart, report_folder
from sam2lora.evaluation.report.gallery import (
    GalleryRow,
    gallery_names,
    mask_to_rgb,
    picture_range,
    pixels_of,
    read_report_mask,
    save_rows,
)
from sam2lora.evaluation.report.markdown import columns_of, describe_regime, number, table
from sam2lora.evaluation.report.plots import COLORS, draw_column, new_figure
from sam2lora.evaluation.report.writer import write_texts
from sam2lora.images.visualization import draw_errors
from sam2lora.prompts.sampling import REGIMES
from sam2lora.targets import Target
from sam2lora.utils.csv_files import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 3  # images in which B gains most, and as many in which it loses most


def write_comparison(
    out: Path, a: Side, b: Side, *, command: str, seed: int = 0
) -> ReportComparison:
    """Compare two evaluations, and write tables, a plot and pictures to a folder.

    Parameters
    ----------
    out
        Output folder; a comparison or report in it is replaced once this one is complete.
    a, b, command, seed
        As for `make_comparison`.

    Returns
    -------
    The comparison that was written.

    Raises
    ------
    ReportError
        As for `make_comparison`, or if a mask of a report is missing.
    OutputError
        If `out` is or contains one of the reports, holds anything but a report, or cannot be
        written.
    """
    check_apart(out, a.folder, b.folder)
    comparison, pairs = make_comparison(a, b, command=command, seed=seed)
    regimes = list(dict.fromkeys(pair.regime for pair in comparison.pairs))
    shown = {
        name: (regime, chosen)
        for name, regime in gallery_names(regimes).items()
        if (chosen := _most_different(comparison, regime))
    }
    with report_folder(out) as folder:
        files = {
            COMPARISON: comparison.model_dump_json(indent=1) + "\n",
            "comparison.md": _text(comparison, regimes, a.report.target, list(shown)),
            "differences.csv": _csv(comparison),
        }
        write_texts(folder, files)
        _figure(comparison).savefig(folder / "differences.png")
        for name, (regime, chosen) in shown.items():
            rows = [_row(a, b, pairs, pair) for pair in chosen]
            title = f"{comparison.target}, prompts: {regime}, where the two differ most"
            save_rows(folder / name, rows, title=title)
    return comparison


def _text(
    comparison: ReportComparison, regimes: Sequence[str], target: Target, galleries: Sequence[str]
) -> str:
    a, b = comparison.a, comparison.b
    sides = [
        [letter, side.model, side.report, "with" if side.flips else "without"]
        for letter, side in (("A", a), ("B", b))
    ]
    lines = [
        f"# Comparison: {comparison.target}",
        "",
        *table([["", "model", "report", "flip averaging"], *sides]),
        "",
        f"Protocol {comparison.protocol}. Made by `{comparison.command}`. Differences are B minus "
        "A, image by image, with the 95 % interval of their mean, from resampling patients (both "
        "eyes of a patient count as one). If the interval contains 0, the images do not show a "
        "difference between the two. With fewer than ten patients the interval is too narrow, and "
        "it says nothing about other cameras.",
    ]
    for regime in regimes:
        lines += [
            "",
            f"## {describe_regime(REGIMES[regime])}",
            "",
            *table(_rows(comparison, regime, target)),
        ]
    if comparison.unpaired:
        lines += ["", f"Not compared: {'; '.join(comparison.unpaired)}."]
    pictures = [*galleries, "differences.png"]
    lines += ["", "## Pictures", "", *(f"![{name}]({name})" for name in pictures)]
    return "\n".join(lines) + "\n"


def _rows(comparison: ReportComparison, regime: str, target: Target) -> Iterator[list[str]]:
    yield [
        *("dataset", "metric", "A", "B", "B − A", "95 % interval", "B better in"),
        *("images", "patients"),
    ]
    columns = columns_of(target)
    for entry in comparison.differences:
        if entry.regime != regime or entry.difference is None or entry.metric not in columns:
            continue
        digits = 2 if entry.metric in ("hd95", "assd") else 4
        interval = "–"
        if entry.low is not None and entry.high is not None:
            interval = f"{entry.low:+.{digits}f} … {entry.high:+.{digits}f}"
        undefined = f" ({entry.undefined} undefined)" if entry.undefined else ""
        yield [
            entry.dataset,
            columns[entry.metric],
            number(entry.a, digits),
            number(entry.b, digits),
            f"{entry.difference:+.{digits}f}",
            interval,
            str(entry.better),
            f"{entry.n}{undefined}",
            str(entry.patients),
        ]


def _csv(comparison: ReportComparison) -> str:
    names = ("dataset", "image", "patient", "regime")
    columns, rows = (*names, "dice_a", "dice_b", "difference"), []
    for pair in comparison.pairs:
        values = (pair.a, pair.b, pair.difference)
        keys = [getattr(pair, name) for name in names]
        cells = (*keys, *("" if value is None else f"{value:.6g}" for value in values))
        rows.append(dict(zip(columns, cells, strict=True)))
    return csv_text(columns, rows)


def _figure(comparison: ReportComparison) -> "Figure":
    """Draw the differences in Dice: a column of dots for each cell, with mean and interval."""
    cells = [entry for entry in comparison.differences if entry.metric == "dice"]
    figure = new_figure(max(5.0, 1.6 + 0.8 * len(cells)), 5.0)
    axes = figure.add_subplot()
    axes.axhline(0, color="black", linewidth=0.8)
    for x, cell in enumerate(cells):
        draw_column(axes, x, _changes(comparison, cell), COLORS[0])
        if cell.difference is not None:
            low = cell.difference if cell.low is None else cell.low
            high = cell.difference if cell.high is None else cell.high
            extent = [[cell.difference - low], [high - cell.difference]]
            axes.errorbar(
                x,
                cell.difference,
                yerr=extent,
                fmt="s",
                color=COLORS[1],
                capsize=5,
                zorder=3,
            )
    names = [f"{cell.dataset}\n{cell.regime}" for cell in cells]
    axes.set_xticks(range(len(cells)), names, fontsize=8, rotation=90 if len(cells) > 3 else 0)
    axes.set_xlim(-0.6, len(cells) - 0.4)
    axes.set_ylabel("difference in Dice, B − A")
    axes.grid(axis="y", alpha=0.3)
    a, b = comparison.a.model, comparison.b.model
    figure.suptitle(
        f"A: {a}, B: {b}\neach image (dots), their mean with its 95 % interval (square)",
        fontsize=9,
        parse_math=False,
    )
    return figure


def _changes(comparison: ReportComparison, cell: DifferenceEntry) -> list[float]:
    return [
        pair.difference
        for pair in comparison.pairs
        if (pair.dataset, pair.regime) == (cell.dataset, cell.regime)
        and pair.difference is not None
    ]


def _most_different(comparison: ReportComparison, regime: str) -> list[PairEntry]:
    """Return the images in which B gains most, then those in which it loses most."""
    ranked = sorted(
        (pair for pair in comparison.pairs if pair.regime == regime and pair.difference),
        key=lambda pair: (-(pair.difference or 0.0), pair.image),
    )
    gained = [pair for pair in ranked[:_SHOWN] if (pair.difference or 0.0) > 0]
    lost = [pair for pair in ranked[-_SHOWN:] if (pair.difference or 0.0) < 0]
    return gained + lost


def _row(a: Side, b: Side, pairs: Pairs, pair: PairEntry) -> GalleryRow:
    entry_a, entry_b = pairs[pair.dataset, pair.regime, pair.image]
    reference = read_report_mask(a.folder / entry_a.truth)
    mask_a = read_report_mask(a.folder / entry_a.answer)
    mask_b = read_report_mask(b.folder / entry_b.answer)
    pixels = pixels_of(entry_a, a.report, reference.shape)
    panels = {
        "image": pixels,
        "reference": mask_to_rgb(reference),
        f"A: {a.model}": draw_errors(pixels, mask_a, reference),
        f"B: {b.model}": draw_errors(pixels, mask_b, reference),
    }
    text = (
        f"{pair.dataset} {pair.image}, Dice {number(pair.a)} → {number(pair.b)} "
        f"({pair.difference:+.3f})"
    )
    return GalleryRow.of(text, panels, picture_range(a.report, reference | mask_a | mask_b))
