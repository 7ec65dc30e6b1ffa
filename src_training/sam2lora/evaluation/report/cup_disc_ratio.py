"""The vertical cup/disc ratio, from a report that judged the disc and one that judged the cup."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from sam2lora.errors import ReportError
from sam2lora.evaluation.report.comparison import Side
from sam2lora.evaluation.report.folder import check_apart, report_folder
from sam2lora.evaluation.report.gallery import read_own_mask
from sam2lora.evaluation.report.markdown import number, table
from sam2lora.evaluation.report.schema import ImageEntry, number_or_none
from sam2lora.evaluation.report.writer import write_texts
from sam2lora.metrics.segmentation import vertical_cdr
from sam2lora.settings import Settings


class RatioEntry(Settings):
    """The vertical cup/disc ratio in one image; None where there is no disc."""

    dataset: str
    regime: str
    image: str
    patient: str
    found: float | None = Field(description="of the answers")
    truth: float | None = Field(description="of the masks they were judged by")
    error: float | None = Field(description="absolute difference")


def cup_disc_ratios(disc: Side, cup: Side) -> tuple[RatioEntry, ...]:
    """Compute the ratio in each image that two reports have scored, from the masks they kept.

    Parameters
    ----------
    disc, cup
        Evaluations of the targets `disc` and `cup` by one protocol.

    Raises
    ------
    ReportError
        If they are of other targets or protocols, have no image in common, or a mask is not there
        any more or has another size than the other report's.
    """
    for side, target in ((disc, "disc"), (cup, "cup")):
        judged = side.report.settings.target
        if judged != target:
            raise ReportError(
                f"{side.folder}: judges {judged!r}, not {target!r}. Give the report on the disc "
                "first, then that on the cup."
            )
    protocols = [side.report.settings.protocol for side in (disc, cup)]
    if protocols[0] != protocols[1]:
        raise ReportError(
            f"{disc.folder} has the protocol {protocols[0]!r} and {cup.folder} {protocols[1]!r}: "
            "their masks do not belong together. Evaluate both by the same one."
        )
    discs, cups = disc.scored, cup.scored
    both = [key for key in discs if key in cups]
    if not both:
        raise ReportError(
            f"{disc.folder} and {cup.folder} have no scored image and regime in common, so there "
            "is no ratio. Evaluate both on the same data set."
        )
    return tuple(_entry(disc, discs[key], cup, cups[key]) for key in both)


def write_cup_disc(out: Path, disc: Side, cup: Side, *, command: str) -> tuple[RatioEntry, ...]:
    """Compute the ratios, and write them to a folder: `cup_disc.md` and `cup_disc.csv`.

    Parameters
    ----------
    out
        The folder; an older one is replaced when this one is complete.
    disc, cup
        As for `cup_disc_ratios`.
    command
        What makes it again, for the reader.

    Raises
    ------
    ReportError
        As `cup_disc_ratios`.
    OutputError
        If `out` is one of the reports or holds one of them, holds something else than a report, or
        cannot be written.
    """
    check_apart(out, disc.folder, cup.folder)
    entries = cup_disc_ratios(disc, cup)
    texts = {"cup_disc.md": _text(entries, disc, cup, command), "cup_disc.csv": _csv(entries)}
    with report_folder(out) as folder:
        write_texts(folder, texts)
    return entries


def ratio_rows(entries: Sequence[RatioEntry]) -> Iterator[tuple[str, ...]]:
    """Give a row for each data set and regime, after the head: means, and over how many images."""
    yield "data set", "prompts", "mean absolute error", "ratio found", "true ratio", "images"
    for dataset, regime in dict.fromkeys((one.dataset, one.regime) for one in entries):
        own = [one for one in entries if (one.dataset, one.regime) == (dataset, regime)]
        defined = [one for one in own if one.error is not None]
        means = [
            float(np.mean(values)) if (values := [getattr(one, name) for one in defined]) else None
            for name in ("error", "found", "truth")
        ]
        count = str(len(own)) if len(defined) == len(own) else f"{len(defined)} of {len(own)}"
        yield dataset, regime, *map(number, means), count


def _entry(disc: Side, disc_entry: ImageEntry, cup: Side, cup_entry: ImageEntry) -> RatioEntry:
    ratios = {}
    for what in ("answer", "truth"):
        files = {
            "disc": disc.folder / getattr(disc_entry, what),
            "cup": cup.folder / getattr(cup_entry, what),
        }
        masks = {name: read_own_mask(file) for name, file in files.items()}
        if masks["disc"].shape != masks["cup"].shape:
            raise ReportError(
                f"{files['disc']} and {files['cup']} are of different sizes, so they are not of "
                "one image. Evaluate both on the same files."
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
        "The ratio is that of the vertical diameters, each of the largest connected part; without "
        "a cup it is 0. Images without a disc, in the answer or in truth, are left out of the "
        "means. `cup_disc.csv` has each image.",
    ]
    return "\n".join(lines) + "\n"


def _csv(entries: Sequence[RatioEntry]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(RatioEntry.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(one.model_dump() for one in entries)
    return text.getvalue()
