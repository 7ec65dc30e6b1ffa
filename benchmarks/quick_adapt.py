"""Measure Quick adapt as in the Train dock: five images are selected and Train is pressed.

Trains on five images of patients unknown to nano, through the dock's own session, and scores the
initial and the new adapter on the images of other patients unknown to nano. Prints a line for each
case: images selected; seconds from pressing Train to the first better adapter, and to the end;
processor seconds; steps; Dice before and after, in validation and on the other images. Fails if one
does not improve in validation. Of several numbers of `--images`, all are scored on the same others.

    python benchmarks/quick_adapt.py DATA [--only chase drions] [--preset quick] [--red-free]
    python benchmarks/quick_adapt.py DATA --only drive --red-free --images 1 3 5 10

DATA holds the public datasets in their official layouts, in folders named as in `CASES`. Nano was
trained on images of all their cameras; with `--red-free` the images are replaced by their green
channel, in grey, as from a camera with a green filter, on which nano was not trained.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 3600  # seconds


class Case(NamedTuple):
    """A dataset, a target, and a regular expression of the images unknown to nano."""

    folder: str
    target: str
    unseen: str


CASES = {
    "drive": Case("DRIVE", "vessel", r"_test$"),
    "chase": Case("CHASEDB1", "vessel", r"^Image_1[1-4]"),
    "hrf": Case("HRF", "vessel", r"^0[78]_"),
    "drions": Case("DRIONS-DB", "disc", r"_(09[1-9]|10\d|110)$"),
    "drishti": Case("Drishti-GS1_files", "disc", r"_(080|081|084|088|089|090|092|094|098|101)$"),
}
"""The images kept out of nano's training, as in scripts/train_nano.py."""


@dataclass(frozen=True)
class Figures:
    """The measurements of one training: seconds since Train was pressed, and Dice before and after.

    If other programs are running, the processor time of the training process is more reliable than
    the elapsed time.
    """

    images: int
    first: float | None
    end: float
    processor: float
    steps: int
    validation: tuple[float, float]
    others: tuple[float, float]
    scored: int

    def describe(self, name: str) -> str:
        first = "  never" if self.first is None else f"{self.first:5.0f} s"
        dice = ""
        for before, after in (self.validation, self.others):
            dice += f" | {before:.4f} {after:.4f} {after - before:+.4f}"
        times = f"{first} | {self.end:4.0f} s, {self.processor:4.0f} s, {self.steps:4}"
        return f"{name:>8} | {self.images:6} | {times}{dice} | {self.scored:2}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--images", nargs="+", type=int, default=[5], help="selected images")
    parser.add_argument("--red-free", action="store_true", help="green channels, in grey")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    columns = "validation: Dice | others: Dice | of"
    print(f"    case | images |   first |  end, processor, steps | {columns}")
    not_better = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        for name in ("RUNS", "ADAPTERS", "CORRECTIONS"):
            os.environ[f"SAM2LORA_{name}"] = str(Path(folder) / name.lower())
        for name in options.only:
            case, data = CASES[name], options.data
            if options.red_free:
                data = red_free(data / case.folder, Path(folder) / "red-free")
            for figures in measure(case, data, options.preset, options.images):
                print(figures.describe(name), flush=True)
                if figures.first is None:
                    not_better.append(f"{name} ({figures.images})")
    if not_better:
        sys.exit(f"Not better than the initial adapter: {', '.join(not_better)}.")


def red_free(images: Path, out: Path) -> Path:
    """Copy a dataset with each image replaced by its green channel; return the parent folder.

    Masks are unchanged: only files with more than one color are images.
    """
    import numpy as np
    from PIL import Image

    shutil.copytree(images, out / images.name, copy_function=shutil.copyfile)
    for path in sorted((out / images.name).rglob("*")):
        if path.suffix.lower() not in (".tif", ".jpg", ".jpeg", ".png"):
            continue
        pixels = np.asarray(Image.open(path))
        if pixels.ndim == 3 and np.ptp(pixels[..., :3].astype(np.int16), axis=-1).any():
            grey = np.repeat(pixels[..., 1:2], 3, axis=-1)
            Image.fromarray(grey).save(path, **({"quality": 95} if "jp" in path.suffix else {}))
    return out


def measure(case: Case, data: Path, preset: str, images: Sequence[int]) -> Iterator[Figures]:
    """Train as the dock does on each number of images, and score the initial and new adapters."""
    from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
    from napari_sam2lora.training.data.new_run import TrainingPlan, fitting_adapters
    from sam2lora.adapters import list_adapters

    unseen = [
        pair
        for pair in pairs_in_folder(data / case.folder, case.target)
        if re.search(case.unseen, pair.name)
    ]
    patients = {pair.patient for pair in unseen[: max(images)]}
    others = [pair for pair in unseen if pair.patient not in patients]
    if not others:
        raise SystemExit(f"{case.folder}: no image of another patient is left to score.")
    start = fitting_adapters(list_adapters(), case.target, "nano")[0]
    before = score(start.name, case.target, others)
    for number in images:
        selected = unseen[:number]
        plan = TrainingPlan(case.target, preset=preset, start_from=start.name, pairs=selected)
        processor_start = processor_seconds()
        first, end, history, run = train(plan)
        last = history.validations[-1]
        yield Figures(
            images=number,
            first=first,
            end=end,
            processor=processor_seconds() - processor_start,
            steps=history.step.step,
            validation=(history.start_dice, last.best),
            others=(before, score(str(run), case.target, others)),
            scored=len(others),
        )


def processor_seconds() -> float:
    """Return the processor time of the child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def train(plan: object) -> tuple[float | None, float, object, Path]:
    """Train to the end; return the times of the first better adapter and of the end."""
    from qtpy.QtCore import QCoreApplication, QEventLoop, QTimer

    from napari_sam2lora.training.run.session import TrainingSession

    app = QCoreApplication.instance() or QCoreApplication([])
    session, loop, installed, messages = TrainingSession(), QEventLoop(), [], []
    start = time.monotonic()
    session.installed.connect(lambda name: installed.append(time.monotonic() - start))
    session.message.connect(lambda message: (messages.append(message), loop.quit()))
    session.watcher.status_changed.connect(
        lambda status: status and not status.alive and loop.quit()
    )
    QTimer.singleShot(1000 * _PATIENCE, loop.quit)
    session.start(plan)
    loop.exec()
    end = time.monotonic() - start
    status, history, run = session.watcher.status, session.watcher.history, session.run
    if messages or status is None or status.state != "finished":
        raise SystemExit(f"The training ended early: {messages or status}")
    better = history.validations[-1].best_step not in (0, None)
    while better and not installed:
        app.processEvents()
    session.close()
    return (installed[0] if installed else None), end, history, run


def score(adapter: str, target: str, pairs: Sequence[object]) -> float:
    """Return the mean Dice of an adapter's masks, inside the field of view for fine targets."""
    from sam2lora.inference.pipeline import load_predictor, segment_image
    from sam2lora.inference.prepared_image import PreparedImage
    from sam2lora.metrics.segmentation import dice
    from sam2lora.targets import get_target

    predictor, scores = load_predictor("nano"), []
    for pair in pairs:
        record = pair.image.record
        prepared = PreparedImage.of(record.read_image().pixels, field=record.read_field_of_view())
        result = segment_image(prepared, target, predictor=predictor, adapter=adapter)[target]
        fine = get_target(target).detail == "tiles"
        valid = prepared.field.mask if fine else None
        scores.append(dice(result.mask, record.read_mask(target), valid=valid))
    return sum(scores) / len(scores)


if __name__ == "__main__":
    main()
