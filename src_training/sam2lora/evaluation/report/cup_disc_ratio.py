"""Vertical cup/disc ratios, from an evaluation of the disc and one of the cup."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from sam2lora.errors import ReportError
from sam2lora.evaluation.report.comparison import Side
from sam2lora.evaluation.report.folder import check_apart, report_folder
from sam2lora.evaluation.report.gallery import read_report_mask
from sam2lora.evaluation.report.markdown import number, table
from sam2lora.evaluation.report.schema import ImageEntry, number_or_none
from sam2lora.evaluation.report.writer import write_texts
from sam2lora.metrics.segmentation import vertical_cdr
from sam2lora.settings import Settings
from sam2lora.utils.csv_files import csv_text


class RatioEntry(Settings):
    """The vertical cup/disc ratio in one image; None if there is no disc."""

    dataset: str
    regime: str
    image: str
    patient: str
    found: float | None = Field(description="of the predictions")
    truth: float | None = Field(description="of the reference masks")
    error: float | None = Field(description="absolute difference")


def cup_disc_ratios(disc: Side, cup: Side) -> tuple[RatioEntry, ...]:
    """Compute the ratio in each image that both reports have scored, from their saved masks.

    Parameters
    ----------
    disc, cup
        Evaluations of the targets `disc` and `cup` by the same protocol.

    Raises
    ------
    ReportError
        If the targets are wrong, the protocols differ, there is no image in common, or a mask is
        missing or differs in size from that of the other report.
    """
    for side, target in ((disc, "disc"), (cup, "cup")):
        evaluated = side.report.settings.target
        if evaluated != target:
            raise ReportError(
                f"{side.folder}: evaluates {evaluated!r}, not {target!r}. Give the report on the "
                "disc first, then that on the cup."
            )
    protocols = [side.report.settings.protocol for side in (disc, cup)]
    if protocols[0] != protocols[1]:
        raise ReportError(
            f"{disc.folder} has the protocol {protocols[0]!r} and {cup.folder} {protocols[1]!r}: "
            "their masks do not match. Evaluate both by the same protocol."
        )
    discs, cups = disc.scored, cup.scored
    both = [key for key in discs if key in cups]
    if not both:
        raise ReportError(
            f"{disc.folder} and {cup.folder} have no scored image and regime in common, so there "
            "is no ratio. Evaluate both on the same dataset."
        )
    return tuple(_entry(disc, discs[key], cup, cups[key]) for key in both)


def write_cup_disc(out: Path, disc: Side, cup: Side, *, command: str) -> tuple[RatioEntry, ...]:
    """Compute the ratios, and write them to a folder: `cup_disc.md` and `cup_disc.csv`.

    Parameters
    ----------
    out
        Output folder; one that exists is replaced once this one is complete.
    disc, cup
        As for `cup_disc_ratios`.
    command
        Command that repeats it, for the reader.

    Raises
    ------
    ReportError
        As for `cup_disc_ratios`.
    OutputError
        If `out` is or contains one of the reports, holds anything but a report, or cannot be
        written.
    """
    check_apart(out, disc.folder, cup.folder)
    entries = cup_disc_ratios(disc, cup)
    files = {"cup_disc.md": _text(entries, disc, cup, command), "cup_disc.csv": _csv(entries)}
    with report_folder(out) as folder:
        write_texts(folder, files)
    return entries


def ratio_rows(entries: Sequence[RatioEntry]) -> Iterator[tuple[str, ...]]:
    """Yield a header, then a row for each dataset and regime: means, and number of images."""
    yield (
        "dataset",
        "prompts",
        "mean absolute error",
        "predicted ratio",
        "reference ratio",
        "images",
    )
    for dataset, regime in dict.fromkeys((entry.dataset, entry.regime) for entry in entries):
        group = [entry for entry in entries if (entry.dataset, entry.regime) == (dataset, regime)]
        defined = [entry for entry in group if entry.error is not None]
        means = [
            float(np.mean([getattr(entry, name) for entry in defined])) if defined else None
            for name in ("error", "found", "truth")
        ]
        total = len(group)
        count = str(total) if len(defined) == total else f"{len(defined)} of {total}"
        yield dataset, regime, *map(number, means), count


def _entry(disc: Side, disc_entry: ImageEntry, cup: Side, cup_entry: ImageEntry) -> RatioEntry:
    ratios = {}
    for what in ("answer", "truth"):
        files = {
            "disc": disc.folder / getattr(disc_entry, what),
            "cup": cup.folder / getattr(cup_entry, what),
        }
        masks = {name: read_report_mask(file) for name, file in files.items()}
        if masks["disc"].shape != masks["cup"].shape:
            raise ReportError(
                f"{files['disc']} and {files['cup']} have different sizes, so they are not of the "
                "same image. Evaluate both on the same files."
            )
        ratios[what] = vertical_cdr(masks, np.ones(masks["disc"].shape, np.bool_))
    return RatioEntry(
        dataset=disc_entry.dataset,
        regime=disc_entry.regime,
        image=disc_entry.image,
        patient=disc_entry.patient,
        found=number_or_none(ratios["answer"]),
        truth=number_or_none(ratios["truth"]),
        error=number_or_none(abs(ratios["answer"] - ratios["truth"])),
    )


def _text(entries: Sequence[RatioEntry], disc: Side, cup: Side, command: str) -> str:
    about = [
        ("", ""),
        ("disc", f"{disc.model} in `{disc.folder}`"),
        ("cup", f"{cup.model} in `{cup.folder}`"),
        ("protocol", disc.report.settings.protocol),
        ("made", f"by `{command}`"),
    ]
    lines = [
        "# Vertical cup/disc ratio",
        "",
        *table(about),
        "",
        *table(ratio_rows(entries)),
        "",
        "The ratio of the vertical diameters, each of the largest connected component; without a "
        "cup it is 0. Images without a disc, in the prediction or in the reference, are excluded "
        "from the means. `cup_disc.csv` lists each image.",
    ]
    return "\n".join(lines) + "\n"


def _csv(entries: Sequence[RatioEntry]) -> str:
    return csv_text(list(RatioEntry.model_fields), (entry.model_dump() for entry in entries))
