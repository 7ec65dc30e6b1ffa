"""Texts and evaluation results for the cards of the embedded model."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import JsonValue

from sam2lora.evaluation.report.point_report import POINT_REPORT, PointReport
from sam2lora.evaluation.report.schema import REPORT, Report, read_report
from sam2lora.models.registry import WEIGHTS_NOTICE
from sam2lora.models.weights import read_metadata, training_image_counts

TERMS = (
    "research use: DRIVE, DRIONS-DB and Drishti-GS allow research and education; CHASE_DB1 and HRF "
    "are CC BY 4.0"
)

DISC_TERMS = (
    f"{TERMS}; IDRiD is CC BY 4.0; PALM (iChallenge-PM) and REFUGE are challenge data, for "
    "research that is not commercial; the ellipses are this project's"
)
"""Terms of the data that disc and cup are learned from."""

FOVEA_TERMS = (
    "research use: DRIVE allows research and education; CHASE_DB1 and HRF are CC BY 4.0; the "
    "points are this project's"
)
"""Terms of the data that the fovea is learned from."""

PURPOSE: Mapping[str, str] = MappingProxyType(
    {
        "vessel": "The whole tree of retinal vessels in color fundus images, without a "
        "prompt, in tiles at the scale of the field of view, drawn at their full resolution by a "
        "detail head; points and boxes correct it.",
        "disc": "The optic disc in color fundus images, without a prompt: first in the whole "
        "field, then in a crop that is as large as it requires; points and boxes correct it.",
        "cup": "The optic cup in color fundus images, without a prompt, inside the disc, which "
        "has to be found first. It was trained on each Drishti-GS image in four versions, with its "
        "own cup and smaller ones.",
        "fovea": "The fovea, a point, in color fundus images that show the macula: first in the "
        "whole field, then in a crop. Where it is not visible the confidence is low; a click sets "
        "it.",
    }
)

LIMITS = (
    "Trained on few patients and few cameras (see Training data). Not tested on children under "
    "nine, on ultra-widefield images, on angiograms or on scanning laser images. Dark, blurred or "
    "scarred fundi give worse results. A small network: thin vessels are missed first."
)

COMMANDS = "python scripts/train_nano.py DATA OUT {part}"

BASE_PARTS = ("base", "on")
"""Parts of `train_nano.py` that train the base, in order."""


def results_for(target: str, reports: Path) -> dict[str, JsonValue]:
    """Return the mean metrics and the worst image of an adapter's reports, by dataset."""
    found: dict[str, JsonValue] = {}
    for report in _reports(reports):
        if report.target.name != target:
            continue
        for cell in report.cells:
            if cell.model == f"nano-{target}" and cell.regime == "none":
                means = {
                    name: round(entry.mean, 4)
                    for name, entry in cell.per_image.items()
                    if name in ("dice", "auc", "cldice") and entry.mean is not None
                }
                scored = report.scored(cell.model, cell.dataset, cell.regime)
                lowest, image = min((one.scores["dice"] or 0.0, one.image) for one in scored)
                worst = {"lowest_dice": round(lowest, 4), "lowest_image": image}
                found[cell.dataset] = {"images": cell.images, **means, **worst}
    return found


def point_results_for(target: str, reports: Path) -> dict[str, JsonValue]:
    """Return the errors of a point in an adapter's reports, by dataset."""
    found: dict[str, JsonValue] = {}
    for path in sorted(reports.glob(f"*/{POINT_REPORT}")):
        report = PointReport.model_validate_json(path.read_text(encoding="utf-8"))
        for one in report.summaries:
            if report.target.name == target and one.model == f"nano-{target}":
                found[one.dataset] = {
                    "images": one.images,
                    "error_in_discs": round(one.mean_in_discs or 0.0, 4),
                    "largest_error_in_discs": round(one.worst_in_discs or 0.0, 4),
                    "within_a_quarter": round(one.near or 0.0, 4),
                }
    return found


def base_card(weights: Path, reports: Path, *, adapters: str) -> str:
    """Return the card of the base model in Markdown."""
    metadata = read_metadata(weights)
    counts = training_image_counts(metadata, weights)
    rows = [f"| {name} | {count} |" for name, count in counts.items()]
    lines = [
        "# nano",
        "A small SAM 2 for the fundus: its own modules, with a Hiera encoder of four stages and "
        "512² input. It takes points, boxes and previous masks for vessels, optic disc, optic "
        "cup, arteries, veins and lesions; without a prompt, it segments vessels. Its four "
        f"adapters ({adapters}) are for automatic use.",
        f"{WEIGHTS_NOTICE} {TERMS}.",
        f"**Limits:** {LIMITS}",
        "## Training data\n\nImages by dataset and target, without the validation images and the "
        "test images. Synthetic images are drawn by this project."
        "\n\n| images of | number |\n|---|---|\n" + "\n".join(rows),
        "It was trained on vessels first, then on all targets; docs/models/make_nano.md has the "
        "steps of each part. The seed is 0 throughout.",
        "## Results\n\nWith a box from the reference mask, without adapter (mean Dice):\n\n"
        + "\n".join(
            ["| dataset | target | images | Dice |", "|---|---|---|---|", *_box_rows(reports)]
        ),
        "## How to reproduce it\n\n"
        + "\n".join(f"    {COMMANDS.format(part=part)}" for part in BASE_PARTS),
    ]
    return "\n\n".join(lines) + "\n"


def _box_rows(reports: Path) -> list[str]:
    return [
        f"| {cell.dataset} | {report.target.name} | {cell.images} | "
        f"{cell.per_image['dice'].mean or 0:.4f} |"
        for report in _reports(reports)
        for cell in report.cells
        if cell.model == "nano without adapter" and cell.regime == "box"
    ]


def _reports(folder: Path) -> list[Report]:
    return [read_report(path.parent) for path in sorted(folder.glob(f"*/{REPORT}"))]
