"""`report.md`: one table for each prompt regime, with published figures for comparison."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import JsonValue

from sam2lora.evaluation.report.gallery import gallery_names
from sam2lora.evaluation.report.plots import plot_names
from sam2lora.evaluation.report.published_figures import SOURCES, published_figures
from sam2lora.evaluation.report.schema import CellEntry, DataEntry, ModelEntry, Report, SummaryEntry
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.prompts.sampling import REGIMES, Regime
from sam2lora.targets import Target

_COLUMNS = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "cldice": "clDice",
    "hd95": "HD95, pixels",
    "assd": "ASSD, pixels",
}
_DISTANCES = ("hd95", "assd")
_LONGEST_LIST = 20


def report_text(report: Report, *, more: Sequence[str] = ()) -> str:
    """Return a report as Markdown.

    Parameters
    ----------
    report
        The report.
    more
        Lines of further sections, before the explanation of the tables.
    """
    lines = [
        f"# Evaluation: {report.target.name}",
        "",
        *_about(report),
        *_notes(report),
    ]
    for name in report.settings.regimes:
        lines += ["", f"## {describe_regime(REGIMES[name])}", "", *_tables(report, name)]
    lines += more
    lines += ["", "## How to read the tables", "", *_legend(report)]
    lines += _not_scored(report)
    lines += ["", "## Pictures", "", *_pictures(report)]
    return "\n".join(lines) + "\n"


def describe_regime(regime: Regime) -> str:
    """Describe the prompts of a regime: `5 points, 1 point off the target (5p1n)`."""
    parts = []
    if regime.positive:
        parts.append(f"{regime.positive} point{'s' if regime.positive > 1 else ''}")
    if regime.negative:
        parts.append(f"{regime.negative} point{'s' if regime.negative > 1 else ''} off the target")
    if regime.box:
        parts.append("box")
    text = ", ".join(parts) or "no prompt"
    return f"{text[0].upper()}{text[1:]} ({regime.name})"


def columns_of(target: Target) -> dict[str, str]:
    """Return the column headers by metric; clDice is omitted for compact structures."""
    return {
        name: head
        for name, head in _COLUMNS.items()
        if name != "cldice" or target.detail == "tiles"
    }


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Format rows as a Markdown table, the first as its header."""
    head, *body = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows]
    return [_row(head), _row(["---"] * len(head)), *map(_row, body)]


def number(value: float | None, digits: int = 3) -> str:
    """Format a number for a table, with a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _about(report: Report) -> list[str]:
    settings = report.settings
    with_flips = "with" if settings.flips else "without"
    sizes = " and ".join(f"{size} network pixels" for size in settings.field_sizes)
    rows = [
        ("", ""),
        ("protocol", f"{settings.protocol}: {report.conventions}"),
        *(("data", _describe_data(data)) for data in report.data),
        *_filters(settings),
        *(("model", _describe_model(model)) for model in report.models),
        ("prompts", f"sampled from the reference, seed {settings.seed}; listed in `report.json`"),
        ("flips", f"{with_flips} averaging over mirror images"),
        *([("field of view", f"predicted at {sizes}")] if sizes else []),
        ("made", f"{report.made:%Y-%m-%d %H:%M %Z} by `{report.command}`"),
    ]
    return table(rows)


def _filters(settings: EvaluateSettings) -> Iterator[tuple[str, str]]:
    if settings.include is not None:
        yield "only images", f"whose stems match `{settings.include}`"
    if settings.exclude is not None:
        yield "excluded", f"images whose stems match `{settings.exclude}`"


def _describe_data(data: DataEntry) -> str:
    split = "all images" if data.split == "all" else f"split {data.split!r}"
    missing = f", {data.without_mask} more without a mask" if data.without_mask else ""
    return f"{data.dataset}: {split}, {data.images}{missing}; field of view: {data.field_of_view}"


def _describe_model(model: ModelEntry) -> str:
    if model.kind == "grader":
        return model.name
    input_mode = f", input: {model.geometry.description}" if model.geometry else ""
    trained_on = _list_images("; trained on", _adapter_images(model))
    base_trained_on = _list_images("; its base trained on", model.base_learned_from)
    base = f"{model.base} from {model.base_file}" if model.base_file else model.base
    return (
        f"{model.name}: base {base}, threshold {model.threshold:g}{input_mode}{trained_on}"
        f"{base_trained_on}"
    )


def _list_images(what: str, images: Mapping[str, JsonValue]) -> str:
    return f"{what} " + ", ".join(f"{name} ({n})" for name, n in images.items()) if images else ""


def _notes(report: Report) -> Iterator[str]:
    for note in dict.fromkeys(model.note for model in report.models if model.note):
        yield from ("", f"> {note}")


def _tables(report: Report, regime: str) -> list[str]:
    """Return the table of a regime, after the overview matrix if there is one."""
    lines = []
    cells = [cell for cell in report.cells if cell.regime == regime]
    if len({cell.model for cell in cells}) > 1 and len(report.data) > 1:
        lines += [*_matrix(report, regime), ""]
    return lines + table(_all_rows(report, regime))


def _matrix(report: Report, regime: str) -> list[str]:
    rows = [["Dice", *(data.dataset for data in report.data)]]
    for model in report.models:
        cells = [report.cell(model.name, data.dataset, regime) for data in report.data]
        if any(cells):
            rows.append([model.name, *(_of(cell, "dice") for cell in cells)])
    return table(rows)


def _all_rows(report: Report, regime: str) -> Iterator[list[str]]:
    columns = columns_of(report.target)
    yield ["dataset", "model", *columns.values(), "pooled Dice", "images", "s / image"]
    for data in report.data:
        for model in report.models:
            cell = report.cell(model.name, data.dataset, regime)
            if cell:
                mark = " †" if was_trained_on(model, data.dataset) else ""
                yield [data.dataset, model.name + mark, *_measured(cell, columns)]
        for figure in published_figures(data.dataset, report.target.name):
            who = f"*{figure.who}* [{figure.source.key}]"
            yield [data.dataset, who, f"*{figure.dice}*", *[""] * (len(columns) + 2)]


def was_trained_on(model: ModelEntry, dataset: str) -> bool:
    """Check whether an adapter (by its card) or its base (by its file) was trained on a dataset."""
    names = [*_adapter_images(model), *model.base_learned_from]
    return any(name.rpartition(" ")[0] == dataset for name in names)


def _adapter_images(model: ModelEntry) -> Mapping[str, JsonValue]:
    images = model.adapter.data.get("images") if model.adapter else None
    return images if isinstance(images, dict) else {}


def _measured(cell: CellEntry, columns: Iterable[str]) -> list[str]:
    texts = [_of(cell, name) for name in columns]
    seconds = "–" if cell.seconds is None else f"{cell.seconds:.2f}"
    scored = cell.images - cell.failed - cell.not_drawn
    images = str(scored) if scored == cell.images else f"{scored} of {cell.images}"
    return [*texts, number(cell.pooled.get("dice")), images, seconds]


def _of(cell: CellEntry | None, name: str) -> str:
    summary = cell.per_image.get(name) if cell else None
    return _summary(summary, 1 if name in _DISTANCES else 3) if summary else "–"


def _summary(summary: SummaryEntry, digits: int) -> str:
    if summary.mean is None:
        return "–"
    spread = "" if summary.std is None else f" ± {summary.std:.{digits}f}"
    undefined = f" ({summary.undefined} undefined)" if summary.undefined else ""
    return f"{summary.mean:.{digits}f}{spread}{undefined}"


def _legend(report: Report) -> list[str]:
    lines = [
        "- Numbers are means over the images ± their standard deviation; *pooled* counts the "
        "pixels of all images together. Images for which a value is undefined, such as a distance "
        "to an empty mask, are excluded from that mean and counted; – is undefined for all.",
        "- Regimes are not averaged: with prompts sampled from the reference, the task differs.",
    ]
    if any(was_trained_on(model, data.dataset) for model in report.models for data in report.data):
        lines.append(
            "- † trained on images of this dataset, according to the adapter's card or the base's "
            "file. On another split these are other images by the same camera; on the training "
            "split or all images, some of these were used for training."
        )
    figures = [
        figure.source
        for data in report.data
        for figure in published_figures(data.dataset, report.target.name)
    ]
    used = [source for source in SOURCES.values() if source in figures]
    if used:
        lines.append("- Rows in italics are published figures, not measured here:")
        lines += [f"    - [{source.key}] {source.text}" for source in used]
    return lines


def _not_scored(report: Report) -> list[str]:
    missing = [entry for entry in report.images if entry.status != "scored"]
    if not missing:
        return []
    rows = [["dataset", "image", "regime", "model", "status", "reason"]]
    for entry in missing[:_LONGEST_LIST]:
        rows.append(
            [entry.dataset, entry.image, entry.regime, entry.model, entry.status, entry.problem]
        )
    lines = ["", f"## Not scored: {len(missing)}", "", *table(rows)]
    if len(missing) > _LONGEST_LIST:
        lines += ["", f"and {len(missing) - _LONGEST_LIST} more, in `per_image.csv`."]
    return lines


def _pictures(report: Report) -> list[str]:
    galleries, plots = gallery_names(report.settings.regimes), plot_names(report)
    return [
        "Best, median and worst image by Dice: the image, the reference, the prediction, and the "
        "errors (green: found, red: false, blue: missed).",
        "",
        *(f"![{name}]({name})" for name in galleries),
        "",
        "Dice of each image; the ROC curve over all pixels; and, for information, the mean Dice at "
        "other thresholds. The threshold was fixed before the evaluation.",
        "",
        *(f"![{name}]({name})" for name in plots),
    ]
