"""The fit of `scripts/fit_confidence.py`: a logistic model, its AUC, and its reliability curve."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from sam2lora.adapters import find_adapter
from sam2lora.inference.confidence import (
    GOOD_DICE,
    ConfidenceModel,
    ConfidenceTable,
    Signs,
    SignWeight,
    confidence_path,
)

TARGETS = ("disc", "cup")
SIGNS = tuple(field.name for field in fields(Signs))

PENALTY = 1.0
"""Of the squared weights: few predictions fail, and the signs go together."""

FOLDS = 8
CURVE = Path(__file__).parents[1] / "docs" / "images" / "confidence.svg"
ABOUT = (
    "Logistic models of the probability that the Dice coefficient of a prediction is at least 0.8, "
    "one for each adapter of the package that has one; no other adapter has a confidence. Written "
    "by scripts/fit_confidence.py. What the signs are: sam2lora.inference.confidence.Signs."
)

Floats = NDArray[np.float64]
Line = dict[str, Any]


def fit_all(file: Path) -> None:
    """Fit a model for each target, write them, print AUCs, and draw the curve."""
    lines = _read(file)
    models, curves = [], {}
    for target in TARGETS:
        chosen = [line for line in lines if line["target"] == target]
        validation, test = (
            [line for line in chosen if line["part"] == part] for part in ("validation", "test")
        )
        model = fit(validation, target)
        models.append(model)
        crossed, tested = cross_validated(validation, target), confidences(model, test)
        curves[f"{target}, validation"] = (crossed, good(validation))
        curves[f"{target}, test"] = (tested, good(test))
        for part, group, sure in (("validation", validation, crossed), ("test", test, tested)):
            report(f"{target} {part}", group, sure)
    table = ConfidenceTable(about=ABOUT, models=tuple(models))
    confidence_path().write_text(json.dumps(table.model_dump(), indent=2) + "\n", encoding="utf-8")
    draw(curves)


def fit(lines: Sequence[Line], target: str) -> ConfidenceModel:
    """Fit the model of a target's adapter; what found nothing is left out."""
    adapter = find_adapter(f"nano-{target}")
    known = [line for line in lines if line["signs"]]
    values, target_values = _signs(known), good(known)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    standard = np.column_stack([np.ones(len(values)), (values - mean) / scale])

    def loss(weights: Floats) -> tuple[float, Floats]:
        logits, free = standard @ weights, np.r_[0, weights[1:]]
        value = np.logaddexp(0, logits).sum() - logits[target_values].sum()
        slope = standard.T @ (special.expit(logits) - target_values)
        return float(value + PENALTY / 2 * (free @ free)), slope + PENALTY * free

    found = optimize.minimize(loss, np.zeros(standard.shape[1]), jac=True, method="BFGS").x
    originals = sum(line["copy"] == "none" for line in known)
    return ConfidenceModel(
        adapter=adapter.name,
        base=adapter.card.base.identity,
        digest=adapter.digest(),
        threshold=adapter.card.threshold,
        fitted_on=f"{originals} images of validation patients and {len(known) - originals} "
        f"degraded copies; Dice below {GOOD_DICE} in {int((~target_values).sum())}",
        intercept=round(float(found[0]), 4),
        signs={
            name: SignWeight(
                mean=round(float(mean[number]), 4),
                scale=round(float(scale[number]), 4),
                weight=round(float(found[1 + number]), 4),
            )
            for number, name in enumerate(SIGNS)
        },
    )


def cross_validated(lines: Sequence[Line], target: str) -> Floats:
    """Return confidences by models that were fitted to other patients."""
    patients = sorted({(line["dataset"], line["patient"]) for line in lines})
    folds = np.array([patients.index((one["dataset"], one["patient"])) % FOLDS for one in lines])
    found = np.zeros(len(lines))
    for fold in range(FOLDS):
        others = [line for line, place in zip(lines, folds, strict=True) if place != fold]
        mine = [line for line, place in zip(lines, folds, strict=True) if place == fold]
        found[folds == fold] = confidences(fit(others, target), mine)
    return found


def confidences(model: ConfidenceModel, lines: Sequence[Line]) -> Floats:
    """Return the confidence of each prediction; 0 where nothing was found."""
    return np.array(
        [model.confidence(Signs(**line["signs"])) if line["signs"] else 0.0 for line in lines]
    )


def good(lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Return which predictions have a Dice coefficient of at least `GOOD_DICE`."""
    return np.array([line["dice"] >= GOOD_DICE for line in lines], dtype=np.bool_)


def report(name: str, lines: Sequence[Line], sure: Floats) -> None:
    """Print how well confidence and expected IoU tell bad predictions from good ones."""
    right = good(lines)
    iou = np.array([line["iou"] for line in lines])
    print(
        f"{name}: {len(lines)} predictions, {int((~right).sum())} below {GOOD_DICE}; AUC of the "
        f"confidence {auc(sure, right):.3f}, of the expected IoU {auc(iou, right):.3f}; mean "
        f"confidence {sure.mean():.3f}, good {right.mean():.3f}; Brier score "
        f"{np.mean((sure - right) ** 2):.3f}"
    )


def copies_table(file: Path) -> str:
    """Return the Dice coefficients on images as they are and on degraded copies, in Markdown.

    Each row has the number of predictions, their mean Dice, and the share below `GOOD_DICE`.
    """
    groups: dict[tuple[str, str, str], list[float]] = {}
    for line in _read(file):
        key = (line["target"], line["part"], line["copy"])
        groups.setdefault(key, []).append(line["dice"])
    rows = [
        f"| target | images | copies | predictions | Dice | below {GOOD_DICE} |",
        "|---|---|---|---|---|---|",
    ]
    for key, found in sorted(groups.items(), reverse=True):
        low = np.mean(np.array(found) < GOOD_DICE)
        rows.append(f"| {' | '.join(key)} | {len(found)} | {np.mean(found):.3f} | {low:.0%} |")
    return "\n".join(rows)


def auc(values: Floats, right: NDArray[np.bool_]) -> float:
    """Return the probability that a good prediction has a higher value than a bad one."""
    ranks, count = stats.rankdata(values), int(right.sum())
    above = ranks[right].sum() - count * (count + 1) / 2
    return float(above / (count * (len(right) - count)))


def draw(curves: dict[str, tuple[Floats, NDArray[np.bool_]]], bins: int = 5) -> None:
    """Draw the share of good predictions over the confidence, in groups of equal width."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    for number, target in enumerate(TARGETS, start=1):
        axes = figure.add_subplot(1, len(TARGETS), number)
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for part, marker in (("validation", "o"), ("test", "s")):
            sure, right = curves[f"{target}, {part}"]
            group = np.minimum((sure * bins).astype(int), bins - 1)
            rows = [
                (sure[group == one].mean(), right[group == one].mean(), int((group == one).sum()))
                for one in range(bins)
                if (group == one).any()
            ]
            across, up = [row[0] for row in rows], [row[1] for row in rows]
            axes.plot(across, up, marker=marker, label=part)
            for x, y, count in rows:
                shift = (4, -11) if part == "test" else (-4, 6)
                axes.annotate(str(count), (x, y), shift, textcoords="offset points", fontsize=8)
        axes.set(title=target, xlabel="confidence", ylabel=f"share with Dice ≥ {GOOD_DICE}")
        axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.1))
        axes.legend(loc="upper left")
    figure.savefig(CURVE, metadata={"Date": None})


def _read(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _signs(lines: Sequence[Line]) -> Floats:
    return np.array([[line["signs"][name] for name in SIGNS] for line in lines], dtype=np.float64)
