"""Write a comparison of two evaluations: tables, a plot, and the images that differ most."""

import csv
import io
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
    pixels_of,
    read_own_mask,
    save_rows,
    white,
    window_of,
)
from sam2lora.evaluation.report.markdown import columns_of, describe_regime, number, table
from sam2lora.evaluation.report.plots import COLORS, draw_column, new_figure
from sam2lora.evaluation.report.writer import write_texts
from sam2lora.images.visualization import draw_errors
from sam2lora.prompts.sampling import REGIMES
from sam2lora.targets import Target

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
        The folder; an older comparison or report in it is replaced when this one is complete.
    a, b, command, seed
        As for `make_comparison`.

    Returns
    -------
    The comparison as it was written.

    Raises
    ------
    ReportError
        As `make_comparison`, or if a mask of a report is not there any more.
    OutputError
        If `out` is one of the reports or holds one of them, holds something else than a report, or
        cannot be written.
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
        texts = {
            COMPARISON: comparison.model_dump_json(indent=1) + "\n",
            "comparison.md": _text(comparison, regimes, a.report.target, list(shown)),
            "differences.csv": _csv(comparison),
        }
        write_texts(folder, texts)
        _figure(comparison).savefig(folder / "differences.png")
        for name, (regime, chosen) in shown.items():
            rows = [_row(a, b, pairs, pair) for pair in chosen]
            title = f"{comparison.target}, prompts: {regime}, where the two differ most"
            save_rows(folder / name, rows, title=title)
    return comparison


def _text(
    comparison: ReportComparison, regimes: Sequence[str], target: Target, overviews: Sequence[str]
) -> str:
    a, b = comparison.a, comparison.b
    sides = [
        [letter, side.model, side.report, "with" if side.flips else "without"]
        for letter, side in (("A", a), ("B", b))
    ]
    lines = [
        f"# Comparison: {comparison.target}",
        "",
        *table([["", "who", "report", "flip averaging"], *sides]),
        "",
        f"Protocol {comparison.protocol}. Made by `{comparison.command}`. Differences are B minus "
        "A, image by image, with the 95 % interval of their mean, from resampling patients (both "
        "eyes of one person count as one). An interval that holds 0 says that the images are too "
        "few, or too alike, to tell the two apart. With fewer than ten people it is too narrow; it "
        "says nothing about other cameras.",
    ]
    for regime in regimes:
        lines += [
            "",
            f"## {describe_regime(REGIMES[regime])}",
            "",
            *table(_rows(comparison, regime, target)),
        ]
    if comparison.unpaired:
        lines += ["", f"Left out: {'; '.join(comparison.unpaired)}."]
    pictures = [*overviews, "differences.png"]
    lines += ["", "## Pictures", "", *(f"![{name}]({name})" for name in pictures)]
    return "\n".join(lines) + "\n"


def _rows(comparison: ReportComparison, regime: str, target: Target) -> Iterator[list[str]]:
    yield [
        *("data set", "metric", "A", "B", "B − A", "95 % interval", "B better in"),
        *("images", "patients"),
    ]
    columns = columns_of(target)
    for one in comparison.differences:
        if one.regime != regime or one.difference is None or one.metric not in columns:
            continue
        digits = 2 if one.metric in ("hd95", "assd") else 4
        interval = "–"
        if one.low is not None and one.high is not None:
            interval = f"{one.low:+.{digits}f} … {one.high:+.{digits}f}"
        undefined = f" ({one.undefined} undefined)" if one.undefined else ""
        yield [
            one.dataset,
            columns[one.metric],
            number(one.a, digits),
            number(one.b, digits),
            f"{one.difference:+.{digits}f}",
            interval,
            str(one.better),
            f"{one.n}{undefined}",
            str(one.patients),
        ]


def _csv(comparison: ReportComparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("dataset", "image", "patient", "regime")
    writer.writerow([*names, "dice_a", "dice_b", "difference"])
    for pair in comparison.pairs:
        numbers = (pair.a, pair.b, pair.difference)
        own = [getattr(pair, name) for name in names]
        writer.writerow([*own, *("" if one is None else f"{one:.6g}" for one in numbers)])
    return text.getvalue()


def _figure(comparison: ReportComparison) -> "Figure":
    """Draw the differences in Dice, a column of dots a cell, with their mean and its interval."""
    cells = [one for one in comparison.differences if one.metric == "dice"]
    figure = new_figure(max(5.0, 1.6 + 0.8 * len(cells)), 5.0)
    axes = figure.add_subplot()
    axes.axhline(0, color="black", linewidth=0.8)
    for place, cell in enumerate(cells):
        draw_column(axes, place, _changes(comparison, cell), COLORS[0])
        if cell.difference is not None:
            low = cell.difference if cell.low is None else cell.low
            high = cell.difference if cell.high is None else cell.high
            reach = [[cell.difference - low], [high - cell.difference]]
            axes.errorbar(
                place, cell.difference, yerr=reach, fmt="s", color=COLORS[1], capsize=5, zorder=3
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
    """Give the images in which B gains most, then those in which it loses most."""
    ranked = sorted(
        (one for one in comparison.pairs if one.regime == regime and one.difference),
        key=lambda one: (-(one.difference or 0.0), one.image),
    )
    gained = [one for one in ranked[:_SHOWN] if (one.difference or 0.0) > 0]
    lost = [one for one in ranked[-_SHOWN:] if (one.difference or 0.0) < 0]
    return gained + lost


def _row(a: Side, b: Side, pairs: Pairs, pair: PairEntry) -> GalleryRow:
    one, other = pairs[pair.dataset, pair.regime, pair.image]
    truth = read_own_mask(a.folder / one.truth)
    answers = [read_own_mask(a.folder / one.answer), read_own_mask(b.folder / other.answer)]
    pixels = pixels_of(one, a.report, truth.shape)
    panels = {
        "image": pixels,
        "truth": white(truth),
        f"A: {a.model}": draw_errors(pixels, answers[0], truth),
        f"B: {b.model}": draw_errors(pixels, answers[1], truth),
    }
    text = (
        f"{pair.dataset} {pair.image}, Dice {number(pair.a)} → {number(pair.b)} "
        f"({pair.difference:+.3f})"
    )
    return GalleryRow.of(text, panels, window_of(a.report, truth | answers[0] | answers[1]))
