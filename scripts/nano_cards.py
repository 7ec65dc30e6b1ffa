"""What the cards of the embedded model say, and the figures that go into them."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import JsonValue

from sam2lora.evaluation.report.schema import REPORT, Report, read_report
from sam2lora.models.registry import WEIGHTS_NOTICE
from sam2lora.models.weights import read_metadata, training_image_counts

TERMS = (
    "research use: DRIVE, DRIONS-DB and Drishti-GS allow research and education; CHASE_DB1 and HRF "
    "are CC BY 4.0"
)

PURPOSE: Mapping[str, str] = MappingProxyType(
    {
        "vessel": "The whole tree of retinal vessels in color fundus photographs, without a "
        "prompt, in tiles at the scale of the field of view; points and boxes correct it.",
        "disc": "The optic disc in color fundus photographs, without a prompt: first in the whole "
        "field, then in a crop around what was found; points and boxes correct it.",
        "cup": "The optic cup in color fundus photographs, without a prompt, as the disc. It "
        "learned from each Drishti-GS image in four versions, with its own cup and smaller ones.",
    }
)

LIMITS = (
    "Learned from few people and few cameras (see Training data). Never tried on children under "
    "nine, on ultra-wide fields, on angiograms or on scanning laser images. Dark, blurred or "
    "scarred fundi give worse answers. A small network: thin vessels are missed first."
)

COMMANDS = "python scripts/train_nano.py DATA OUT {part}"

BASE_PARTS = ("base", "on")
"""Parts of the script that make the base, one after the other."""


def results_for(target: str, reports: Path) -> dict[str, JsonValue]:
    """Give the mean figures of an adapter's reports, by data set."""
    found: dict[str, JsonValue] = {}
    for report in _reports(reports):
        if report.target.name != target:
            continue
        for cell in report.cells:
            if cell.model == f"nano-{target}" and cell.regime == "none":
                figures = {
                    name: round(entry.mean, 4)
                    for name, entry in cell.per_image.items()
                    if name in ("dice", "auc", "cldice") and entry.mean is not None
                }
                found[cell.dataset] = {"images": cell.images, **figures}
    return found


def base_card(weights: Path, reports: Path, *, adapters: str) -> str:
    """Write the card of the base model, in Markdown."""
    notes = read_metadata(weights)
    rows = [
        f"| {name} | {count} |" for name, count in training_image_counts(notes, weights).items()
    ]
    lines = [
        "# nano",
        "A small SAM 2 for the fundus: its own modules, with a Hiera encoder of four stages and "
        "512² input. It answers points, boxes and previous masks for vessels, optic disc, optic "
        "cup, arteries, veins and lesions; without a prompt, for vessels. Its three adapters "
        f"({adapters}) are for automatic use.",
        f"{WEIGHTS_NOTICE} {TERMS}.",
        f"**Limits:** {LIMITS}",
        "## Training data\n\nImages by data set and target; those that judged the training and "
        "those kept for testing are not among them. Synthetic images are drawn by this project."
        "\n\n| images of | number |\n|---|---|\n" + "\n".join(rows),
        "First it learned vessels alone, then everything; docs/embedded_model.md has the steps of "
        "each part. Seed 0 throughout.",
        "## Results\n\nWith a box from the true mask, without adapter (mean Dice):\n\n"
        + "\n".join(
            ["| data set | target | images | Dice |", "|---|---|---|---|", *_boxed(reports)]
        ),
        "## How to reproduce it\n\n"
        + "\n".join(f"    {COMMANDS.format(part=one)}" for one in BASE_PARTS),
    ]
    return "\n\n".join(lines) + "\n"


def _boxed(reports: Path) -> list[str]:
    return [
        f"| {cell.dataset} | {report.target.name} | {cell.images} | "
        f"{cell.per_image['dice'].mean or 0:.4f} |"
        for report in _reports(reports)
        for cell in report.cells
        if cell.model == "nano without adapter" and cell.regime == "box"
    ]


def _reports(folder: Path) -> list[Report]:
    return [read_report(path.parent) for path in sorted(folder.glob(f"*/{REPORT}"))]
