"""The folder that an agreement is written to: text, tables, and a Bland–Altman plot."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2lora.errors import OutputError
from sam2lora.evaluation.report.markdown import number, table
from sam2lora.evaluation.report.plots import COLORS, new_figure
from sam2lora.evaluation.report.writer import write_texts
from sam2lora.grading.agreement import QUALITIES, Agreement
from sam2lora.images.visualization import save_figure
from sam2lora.metrics.aggregate import MetricSummary
from sam2lora.metrics.rater_agreement import LimitsOfAgreement
from sam2lora.utils.csv_files import csv_text
from sam2lora.utils.folders import new_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT, DATA, ROWS, RATIOS = "agreement.md", "agreement.json", "agreement.csv", "ratios.csv"
PLOT = "bland_altman.png"

_WORST = 20  # rows of the table in the text; the CSV file has all
_LEAST = 2  # differences from which there is a plot


def write_agreement(out: Path, agreement: Agreement) -> list[str]:
    """Write an agreement to a folder, whole or not at all; an earlier one is replaced.

    Returns
    -------
    Names of the files: the text, its data as JSON, a row for each target of each image (worst
    first), a row for each ratio, and the plot, if there are two ratios or more.

    Raises
    ------
    OutputError
        If the folder holds anything else, or cannot be written.
    """
    plot = agreement.limits.n >= _LEAST
    files = {
        TEXT: agreement_text(agreement, plot=plot),
        DATA: json.dumps(_plain(agreement), indent=1, allow_nan=False) + "\n",
        ROWS: csv_text(
            ("stem", "patient", "target", "dice", "kappa", "hd95"),
            (_cells(asdict(one)) for one in agreement.worst()),
        ),
        RATIOS: csv_text(
            ("stem", "patient", "first", "second", "difference"),
            (_cells(asdict(one) | {"difference": one.difference}) for one in agreement.ratios),
        ),
    }
    with new_folder(out.resolve(), replace=True, check=_check_is_agreement) as folder:
        write_texts(folder, files)
        if plot:
            save_figure(folder / PLOT, bland_altman_figure(agreement))
    return [*files, *([PLOT] if plot else [])]


def agreement_text(agreement: Agreement, *, plot: bool) -> str:
    """Return an agreement as Markdown."""
    first, second = agreement.first, agreement.second
    lines = [f"# Agreement of {first} and {second}", "", *table(summary_rows(agreement)), ""]
    lines += [
        "Means over the images that both graders are done with and drew the target in; if a number "
        "is not defined in all of them, as a distance to an empty mask, the number of images "
        "follows in brackets. Kappa and "
        "Dice are of pixels in the field of view; HD95 is the 95th percentile of the Hausdorff "
        "distance, in pixels.",
        *_lone(agreement),
        "",
        "## Vertical cup/disc ratio",
        "",
        *_ratio_lines(agreement.limits, first, second),
        *(["", f"![Bland–Altman plot]({PLOT})"] if plot else []),
        "",
        "## Quality",
        "",
        *table(_quality_rows(agreement)),
        "",
        f"Rows are {first}'s, columns {second}'s. "
        "Cohen's kappa, with linear weights: "
        f"{number(_defined(agreement.quality_kappa))}.",
        "",
        "## States",
        "",
        *table([(first, second, "images"), *_state_rows(agreement)]),
        "",
        "## The worst",
        "",
        *table([("image", "target", "Dice", "kappa", "HD95"), *_worst_rows(agreement)]),
    ]
    lost = ", ".join(f"{name} {count}" for name, count in agreement.unreadable.items() if count)
    if lost:
        lines += [
            "",
            f"Lines of the logs that cannot be read: {lost}. Images that they may be about do not "
            "count as done.",
        ]
    if agreement.problems:
        lines += [
            "",
            "## Not compared",
            "",
            *table([("image", "reason"), *agreement.problems.items()]),
        ]
    return "\n".join(lines) + "\n"


def summary_rows(agreement: Agreement) -> Iterator[tuple[str, ...]]:
    """Yield a header, then a row for each target."""
    yield "target", "images", "Dice", "kappa", "HD95, pixels"
    for target, summary in agreement.summaries.items():
        images = summary["dice"].n + summary["dice"].undefined
        means = (mean_text(summary[name], images) for name in ("dice", "kappa", "hd95"))
        yield target, str(images), *means


def mean_text(summary: MetricSummary, images: int) -> str:
    """Return a mean, with the number of images that it is of if not of all."""
    text = number(_defined(summary.mean))
    return text if summary.n in (0, images) else f"{text} ({summary.n})"


def bland_altman_figure(agreement: Agreement) -> "Figure":
    """Draw the differences of the ratios over their means, with bias and limits of agreement."""
    limits = agreement.limits
    figure = new_figure(5.6, 4.4)
    axes = figure.add_subplot()
    known = [one for one in agreement.ratios if not math.isnan(one.difference)]
    means = [(one.first + one.second) / 2 for one in known]
    axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=1)
    axes.plot(
        means, [one.difference for one in known], "o", color=COLORS[0], markersize=5, alpha=0.7
    )
    for value, interval, name, color in (
        (limits.bias, limits.bias_interval, "bias:", COLORS[6]),
        (limits.lower, limits.lower_interval, "bias − 1.96 SD:", COLORS[1]),
        (limits.upper, limits.upper_interval, "bias + 1.96 SD:", COLORS[1]),
    ):
        axes.axhline(value, color=color, linewidth=1.3, linestyle="-" if name == "bias:" else "--")
        axes.axhspan(*interval, color=color, alpha=0.1, linewidth=0)
        axes.annotate(
            f"{name} {value:+.3f}",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
    axes.set_xlabel("mean of both vertical cup/disc ratios")
    axes.set_ylabel(f"{agreement.first} minus {agreement.second}", parse_math=False)
    axes.set_title(
        f"Vertical cup/disc ratio, {limits.n} images; bands are 95 % intervals",
        fontsize=9,
        loc="left",
    )
    axes.grid(alpha=0.25)
    return figure


def _ratio_lines(limits: LimitsOfAgreement, first: str, second: str) -> list[str]:
    rows = [
        (f"{first} minus {second}", "value", "95 % interval"),
        ("bias", _signed(limits.bias), _interval(limits.bias_interval)),
        ("lower limit, bias − 1.96 SD", _signed(limits.lower), _interval(limits.lower_interval)),
        ("upper limit, bias + 1.96 SD", _signed(limits.upper), _interval(limits.upper_interval)),
    ]
    about = (
        f"{limits.n} images with both discs and cups. Both eyes of a patient count as two images, "
        "so the intervals are too narrow where there are many of these."
    )
    return [*table(rows), "", about]


def _quality_rows(agreement: Agreement) -> Iterator[tuple[str, ...]]:
    yield ("", *QUALITIES)
    for name, counts in zip(QUALITIES, agreement.qualities.tolist(), strict=True):
        yield (name, *map(str, counts))


def _state_rows(agreement: Agreement) -> Iterator[tuple[str, ...]]:
    for (first, second), images in agreement.states.items():
        yield first, second, str(images)


def _worst_rows(agreement: Agreement) -> Iterator[tuple[str, ...]]:
    for one in agreement.worst()[:_WORST]:
        values = (number(_defined(value)) for value in (one.dice, one.kappa, one.hd95))
        yield one.stem, one.target, *values


def _lone(agreement: Agreement) -> Sequence[str]:
    named = "; ".join(f"{one.target} of {one.stem} by {one.grader}" for one in agreement.lone)
    return [f"Drawn by one grader only, and not counted: {named}."] if named else []


def _plain(agreement: Agreement) -> dict[str, Any]:
    """Return an agreement as JSON has it, with null in place of NaN."""
    content: dict[str, Any] = asdict(agreement) | {
        "qualities": agreement.qualities.tolist(),
        "quality_names": QUALITIES,
        "states": [
            {"first": first, "second": second, "images": images}
            for (first, second), images in agreement.states.items()
        ],
    }
    plain: dict[str, Any] = _without_nan(content)
    return plain


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return _defined(value)
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def _cells(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value:.6g}" if isinstance(value, float) and not math.isnan(value) else value
        for name, value in values.items()
        if _defined(value) is not None
    }


def _defined(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.4f}"


def _interval(interval: tuple[float, float]) -> str:
    return f"{_signed(interval[0])} to {_signed(interval[1])}"


def _check_is_agreement(out: Path) -> None:
    """Check whether a folder is an agreement or empty, so that it may be replaced."""
    names = {path.name for path in out.iterdir()} if out.is_dir() else {""}
    if names and (DATA not in names or names - {TEXT, DATA, ROWS, RATIOS, PLOT}):
        raise OutputError(f"{out}: is not an agreement. Choose another folder with --out.")
