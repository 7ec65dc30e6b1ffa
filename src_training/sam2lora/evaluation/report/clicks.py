"""What clicks do, in a report: a table of corrections and of single clicks, and a curve."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sam2lora.evaluation.interactive import (
    COUNTS,
    DRAWS,
    GOALS,
    MOST_CLICKS,
    SINGLE_CLICKS,
    ClickSequence,
)
from sam2lora.evaluation.report.markdown import number, table
from sam2lora.evaluation.report.plots import COLORS, new_figure
from sam2lora.evaluation.report.schema import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT = "clicks.png"

_KINDS = (
    ("automatic", "middle", "in the middle of the largest error"),
    ("automatic", "random", "at a random place in it"),
    ("nothing", "middle", "from nothing: the first click is on the target"),
)

Key = tuple[str, str]  # model and dataset


def has_corrections(report: Report) -> bool:
    """Check whether corrections were simulated."""
    return any(entry.corrections for entry in report.images)


def corrections_of(report: Report, key: Key, start: str, placement: str) -> list[ClickSequence]:
    """Return the corrections of one model on one dataset, of all images and draws."""
    return [
        correction
        for entry in report.images
        if (entry.model, entry.dataset) == key
        for correction in entry.corrections
        if (correction.start, correction.placement) == (start, placement)
    ]


def _automatic(report: Report, key: Key) -> list[ClickSequence]:
    return corrections_of(report, key, "automatic", "middle")


def keys_of(report: Report) -> list[Key]:
    """Return each model and dataset with corrections, in the order of the report."""
    found = [(entry.model, entry.dataset) for entry in report.images if entry.corrections]
    return list(dict.fromkeys(found))


def click_lines(report: Report) -> list[str]:
    """Return the section on clicks as lines of Markdown; none without corrections."""
    if not has_corrections(report):
        return []
    goals = [f"clicks to {goal:.2f}" for goal in GOALS]
    head = ["model", "dataset", "clicks", *map(str, COUNTS), *goals, "worse after 3", "spread"]
    rows = [head]
    for key in keys_of(report):
        for start, placement, text in _KINDS:
            found = corrections_of(report, key, start, placement)
            rows.append([*key, text, *_sequence_cells(found)])
    effects = [["model", "dataset", "clicked", "clicks", "honoured", "mended", "harm"]]
    for key in keys_of(report):
        for start, placement, text in _KINDS[:2]:
            found = corrections_of(report, key, start, placement)
            effects.append([*key, text, *_effect_cells(found)])
    return [
        "",
        "## Corrections by clicks",
        "",
        "Mean Dice after a number of simulated clicks, each in the largest error that is left.",
        "",
        *table(rows),
        "",
        f"*Clicks to* a Dice coefficient count {MOST_CLICKS} where it is not reached. *Worse* is "
        "the share of the sequences of clicks with a lower Dice after three clicks than before; at "
        f"random there are {DRAWS} for each image. *Spread* is the standard deviation of the Dice "
        f"after three clicks over these {DRAWS} draws of their places.",
        "",
        f"What a single click does, in each of the {SINGLE_CLICKS} largest errors of the "
        "prediction without prompts:",
        "",
        *table(effects),
        "",
        "*Honoured*: the clicked pixel is right. *Mended*: share of the error that is right. "
        "*Harm*: share of the pixels that were right, outside the error, and are wrong now.",
        "",
        f"![{PLOT}]({PLOT})",
    ]


def click_figure(report: Report) -> "Figure":
    """Draw the mean Dice over the number of clicks, for each model and dataset."""
    keys = keys_of(report)
    figure = new_figure(5.6, 4.2)
    axes = figure.add_subplot()
    for number_, key in enumerate(keys):
        color = COLORS[number_ % len(COLORS)]
        for (start, placement, _), style in zip(_KINDS, ("-", "--", ":"), strict=True):
            found = corrections_of(report, key, start, placement)
            if not found:
                continue
            dice = [_mean(found, _dice_after(count)) for count in range(MOST_CLICKS + 1)]
            label = f"{key[0]} on {key[1]}" if style == "-" else None
            axes.plot(range(len(dice)), dice, style, color=color, label=label, marker=".")
    # Curves from nothing begin at 0, which would leave no room for the others.
    automatic = [_mean(found, _dice_after(0)) for key in keys if (found := _automatic(report, key))]
    axes.set(xlabel="clicks", ylabel="mean Dice", ylim=(min(automatic, default=0) - 0.05, 1.005))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7.5, loc="lower right")
    axes.set_title(
        "Solid: in the middle of the largest error; dashed: at random; dotted: from nothing",
        fontsize=8,
        loc="left",
    )
    return figure


def _sequence_cells(found: Sequence[ClickSequence]) -> Iterator[str]:
    for count in COUNTS:
        yield number(_mean(found, _dice_after(count)))
    for goal in GOALS:
        yield number(float(np.mean([correction.clicks_to(goal) for correction in found])), 1)
    yield f"{100 * _mean(found, lambda correction: correction.worse):.0f} %"
    yield number(_spread(found))


def _effect_cells(found: Sequence[ClickSequence]) -> list[str]:
    effects = [effect for correction in found for effect in correction.effects]
    if not effects:
        return ["0", "–", "–", "–"]
    honoured, mended, harm = (
        float(np.mean([getattr(effect, name) for effect in effects]))
        for name in ("honoured", "mended", "harm")
    )
    return [str(len(effects)), number(honoured), number(mended), number(harm, 4)]


def _dice_after(count: int) -> Callable[[ClickSequence], float]:
    return lambda correction: correction.dice_after(count)


def _mean(found: Sequence[ClickSequence], value: Callable[[ClickSequence], float]) -> float:
    return float(np.mean([value(correction) for correction in found]))


def _spread(found: Sequence[ClickSequence]) -> float | None:
    """Return the standard deviation over the draws of an image, as a mean over the images."""
    draws = max(correction.draw for correction in found) + 1
    if draws == 1:
        return None
    dice = np.array([correction.dice_after(3) for correction in found]).reshape(-1, draws)
    return float(dice.std(axis=1).mean())
