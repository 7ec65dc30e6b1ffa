"""Kill napari at random instants while a session is graded, and see what is lost.

A script paints strokes into the masks of a session in the Grade dock, takes some back, types
comments and goes from image to image, with a time stamp for each. Its process is killed (signal 9)
at a random instant, again and again, each time after what was not saved was brought back. After
each kill everything in the session must open, and whatever is lost must be younger than two
seconds.

    xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/grading_kills.py [--kills 50]

Fails if a file does not open, something older than the limit is lost, or nothing was killed. Other
programs that run slow everything down, also what is measured here.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT = 2.0  # seconds
IMAGES, SIDE = 3, 1024
CELL = 8  # pixels: each stroke has a square of its own
PATIENCE = 180  # seconds until napari paints
READY = "ready"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=6.0, help="seconds of painting, at most")
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants")
    parser.add_argument("--paint", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.paint is not None:
        paint(*options.paint)
        return
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        session, actions = make_session(Path(place)), Path(place) / "actions.jsonl"
        actions.touch()
        ages, lost = [], 0
        for number in range(1, options.kills + 1):
            killed = kill_once(session, actions, draw.uniform(0, options.longest))
            age, count, done = compare(session, actions, killed)
            ages.append(age)
            lost += count
            print(
                f"kill {number:2}: {done} actions, {count} lost, the oldest {age:.2f} s before",
                flush=True,
            )
            forget_lost(session, actions)
    print(f"{len(ages)} kills, {lost} actions lost, the oldest {max(ages, default=0):.2f} s before")
    sys.exit(0 if ages and max(ages) <= LIMIT else 1)


def make_session(place: Path) -> Path:
    """Create a session of drawn images."""
    from PIL import Image

    from sam2lora.grading import GradingSession, list_sources
    from sam2lora.synthetic import SyntheticSettings, draw_fundus

    (place / "images").mkdir()
    for seed in range(IMAGES):
        drawn = draw_fundus(seed, SyntheticSettings(size=SIDE))
        Image.fromarray(drawn.image).save(place / "images" / f"eye{seed}.png")
    return GradingSession.create(place / "trial", list_sources([place / "images"])).folder


def kill_once(session: Path, actions: Path, seconds: float) -> float:
    """Start napari, which paints for a time, kill it, and return when that was."""
    before = actions.stat().st_size
    child = subprocess.Popen(
        [sys.executable, __file__, "--paint", str(session), str(actions)],
        env={**os.environ, "NAPARI_CONFIG": str(session.parent / "settings.yaml")},
    )
    end = time.monotonic() + PATIENCE
    while READY not in actions.read_bytes()[before:].decode():
        if child.poll() is not None or time.monotonic() > end:
            child.kill()
            raise SystemExit(f"napari does not paint (exit code {child.poll()}).")
        time.sleep(0.02)
    time.sleep(seconds)
    if child.poll() is not None:
        raise SystemExit(f"napari ended by itself with exit code {child.returncode}.")
    child.kill()
    killed = time.time()
    child.wait()
    return killed


def read_actions(path: Path) -> list[dict[str, Any]]:
    """Return what was done; a last line that a kill has cut off was not complete."""
    lines = path.read_bytes().splitlines(keepends=True)
    read = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [action for action in read if "image" in action]


def found_state(session: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Open everything in the session, and return masks and comments by image.

    Raises
    ------
    Sam2LoraError
        If something cannot be opened.
    """
    from sam2lora.grading import GradingSession, SessionGrader

    opened = GradingSession.open(session)
    masks: dict[str, Any] = {}
    comments: dict[str, str] = {}
    with SessionGrader(opened, "anna") as grader:
        if grader.skipped_lines:
            raise SystemExit(f"{grader.skipped_lines} lines of the log cannot be read.")
        for image in opened.images:
            kept = grader.corrections.masks(image.stem, (SIDE, SIDE))
            masks[image.stem] = kept.get("disc")
            comments[image.stem] = grader.grade(image.stem).comment
        for file in (*grader.recovery.aside(), grader.recovery):
            found = file.read()
            if found is None:
                continue
            if "disc.now" in found.arrays:
                masks[found.image] = found.arrays["disc.now"] != 0
            if isinstance(found.notes["comment"], str):
                comments[found.image] = found.notes["comment"]
    return masks, comments


def is_there(action: dict[str, Any], masks: dict[str, Any], comments: dict[str, str]) -> bool:
    """Check whether what an action did is in the session."""
    if "comment" in action:
        return comments[action["image"]] == action["comment"]
    mask = masks[action["image"]]
    row, column = divmod(action["stroke"], SIDE // CELL)
    marked = mask is not None and bool(mask[row * CELL + CELL // 2, column * CELL + CELL // 2])
    return marked == action["painted"]


def last_actions(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last action on each stroke, and on the comment of each image."""
    last = {(one["image"], one.get("stroke")): one for one in actions}
    return list(last.values())


def compare(session: Path, path: Path, killed: float) -> tuple[float, int, int]:
    """Return the age of the oldest action that is lost, how many are, and how many were done."""
    actions = read_actions(path)
    masks, comments = found_state(session)
    lost = [one for one in last_actions(actions) if not is_there(one, masks, comments)]
    return max((killed - one["time"] for one in lost), default=0.0), len(lost), len(actions)


def forget_lost(session: Path, path: Path) -> None:
    """Keep the actions that are in the session: the next process goes on from there."""
    masks, comments = found_state(session)
    kept = [one for one in last_actions(read_actions(path)) if is_there(one, masks, comments)]
    path.write_text("".join(json.dumps(one) + "\n" for one in kept), encoding="utf-8")


def paint(session: Path, path: Path) -> None:
    """Grade the session in napari until the process is killed."""
    import napari
    from qtpy.QtCore import QTimer

    import napari_sam2lora.grading.starting as starting
    from napari_sam2lora.layers.images import ImageLayers
    from napari_sam2lora.layers.masks import add_mask, find_mask_layer
    from sam2lora.targets import TARGETS

    starting.keep_or_delete = lambda *_, **__: True  # what was not saved is brought back
    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Grade")
    dock.opener.open(session)
    dock.start("anna")
    log = path.open("ab", buffering=0)
    known = read_actions(path)
    number = max((one.get("stroke", -1) for one in known), default=-1) + 1
    draw = random.Random(number)

    def write(**action: object) -> None:
        line = json.dumps({"time": time.time(), "image": dock.work.stem, **action})
        log.write(line.encode() + b"\n")

    def stroke() -> None:
        nonlocal number
        image = ImageLayers(viewer).find(dock.work.shown.path)
        layer = find_mask_layer(viewer, image, TARGETS["disc"])
        layer = layer or add_mask(viewer, image, TARGETS["disc"])
        layer.brush_size = CELL // 2
        row, column = divmod(number, SIDE // CELL)
        middle = (row * CELL + CELL // 2, column * CELL + CELL // 2)
        with layer.block_history():
            layer.paint(middle, TARGETS["disc"].label)
        write(stroke=number, painted=True)
        if draw.random() < 0.1:
            layer.undo()
            write(stroke=number, painted=False)
        number += 1

    def act() -> None:
        chance = draw.random()
        if chance < 0.03:
            stems = [stem for stem in dock.work.stems if stem != dock.work.stem]
            dock.grading.go(draw.choice(stems))
        elif chance < 0.1:
            text = f"comment {number}"
            dock.panel.comment.setText(text)
            dock.panel.comment.textEdited.emit(text)
            write(comment=text)
        else:
            stroke()
        QTimer.singleShot(draw.randrange(10, 120), act)

    def start() -> None:
        stroke()  # the first one takes long
        log.write(json.dumps({READY: time.time()}).encode() + b"\n")
        act()

    QTimer.singleShot(500, start)
    napari.run()


if __name__ == "__main__":
    main()
