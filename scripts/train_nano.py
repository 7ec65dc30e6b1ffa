"""Train the embedded model: its base, then one adapter for each target, all as ordinary runs.

    python scripts/train_nano.py DATA OUT base
    python scripts/train_nano.py DATA OUT on
    python scripts/train_nano.py DATA OUT vessel
    python scripts/train_nano.py DATA OUT disc
    python scripts/train_nano.py DATA OUT cup
    python scripts/train_nano.py DATA OUT ship
    python scripts/train_nano.py DATA OUT evaluate

DATA holds the public data sets in their official layouts: DRIVE, CHASEDB1, HRF, Drishti-GS1_files
and DRIONS-DB. OUT gets the synthetic images and a run folder for each part. A part that was
interrupted goes on when its command is given again. `ship` puts the results into the package;
`evaluate` measures what is in the package on the images kept for testing, and the next `ship` puts
the figures into the cards.

The base is made by three runs: `start` learns vessels alone, from random weights, because all tasks
at once are learned too slowly from nothing; `wide` adds all other tasks; `base` goes on with more
vessels among them, in cycles of a falling learning rate. After each cycle its best is worth using,
and the next part may be begun. `on` needs none of these runs: it goes on from the base that is in
the package, at a learning rate that falls once, with more discs and cups. The adapters
are trained on what `on` has made, or else `base`.

Kept out of all training, to test with: DRIVE's test half, the children 11 to 14 of CHASE_DB1, the
HRF images 07_* and 08_*, the DRIONS-DB images 091 to 110 and the last ten Drishti-GS images.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from nano_cards import BASE_PARTS, COMMANDS, LIMITS, PURPOSE, TERMS, base_card, results_for

from sam2lora.adapters import find_adapter
from sam2lora.adapters.folder import CONFIG, WEIGHTS
from sam2lora.adapters.replacing import new_folder
from sam2lora.adapters.store import shipped_folder
from sam2lora.datasets import filter_by_stem, official_split, read_dataset
from sam2lora.datasets.from_table import TABLE_NAME
from sam2lora.files import atomic_path, make_folder
from sam2lora.model_table import get_base
from sam2lora.pictures import save_image
from sam2lora.runs import RunFolder, best_adapter
from sam2lora.synthetic import SyntheticSettings, resize_cup
from sam2lora.synthetic.folder import write_synthetic_set
from sam2lora.targets import Target, save_target
from sam2lora.training.settings import make_settings

HELD_BACK = {
    "DRIVE": None,  # its official split does it
    "CHASEDB1": r"^Image_1[1-4]",
    "HRF": r"^0[78]_",
    "Drishti-GS1_files": r"_(080|081|084|088|089|090|092|094|098|101)$",
    "DRIONS-DB": r"_(09[1-9]|10\d|110)$",
}
"""Folder of a data set to the images kept for testing."""

VESSELS = ("DRIVE", "CHASEDB1", "HRF")
OTHERS = ("Drishti-GS1_files", "DRIONS-DB")

SYNTHETIC = "synthetic"
"""Folder in OUT of the drawn images."""

SYNTHETIC_IMAGES = 120

RESIZED = "resized_cups/DRISHTI-GS"
"""Folder in OUT of the Drishti-GS images, each also with smaller cups in its disc.

Who is held out follows from the name of the data set, so it has that of the original.
"""

CUP_FACTORS = ((0.5, 0.63), (0.63, 0.79), (0.79, 1.0))
"""Lowest and highest factor of each further cup of an image."""

REPORTS = "reports"

CYCLE = 2000
CYCLES = 8
"""Of the base's learning rate: steps in each, and how many."""

ON_STEPS = 7000
"""Of `on`, at a learning rate that falls once."""

MOSTLY_NONE = {
    "none": 0.75,
    "points": 0.1,
    "box": 0.04,
    "box_and_points": 0.04,
    "previous": 0.07,
}
"""How often each prompt is drawn; without one, vessels are meant by the base."""

IN_CYCLES: Mapping[str, Any] = {
    "prompts": MOSTLY_NONE,
    "optimizer": {"schedule": "restarts", "restart_every": CYCLE, "warmup": 50},
    "steps": CYCLES * CYCLE,
}
"""Settings of a long training."""

# What a promptable base learns beside the usual targets; synthetic images have their masks.
MORE_TARGETS = (
    Target(name="artery", label=4, color="#d62728", detail="tiles"),
    Target(name="vein", label=5, color="#1f77b4", detail="tiles"),
    Target(name="lesion_dark", label=6, color="#8c564b", detail="tiles"),
    Target(name="lesion_bright", label=7, color="#ffdd88", detail="tiles"),
)

LOSS = {"weights": {"bce": 4}}
"""Cross-entropy is the term that is missed most, and a fifth of a plain sum (`docs/results.md`)."""

ADAPTERS: Mapping[str, Any] = {
    "vessel": {
        "data": ["DRIVE", "CHASEDB1", "HRF"],
        "geometry": {"detail": "tiles", "field_size": 1600},
        # It is as good on what it learned from as on others, so nothing has to hold it back.
        "lora": {"rank": 14, "train_heads": True, "dropout": 0},
        "loss": LOSS,
        "steps": 2500,
    },
    "disc": {
        "data": ["Drishti-GS1_files", "DRIONS-DB"],
        "geometry": {"detail": "zoom", "convex": True},
        "steps": 600,
    },
    "cup": {
        # The real ones are nearly all of glaucoma, and large. Drawn eyes would judge as well, where
        # one that is missed altogether outweighs what is learned of real ones.
        "data": [RESIZED],
        "geometry": {"detail": "zoom", "convex": True},
        "validation": {"share": 0.12, "every": 100, "images": 20},
        "steps": 900,
    },
}

COLORS = {
    "brightness": 0.4,
    "contrast": 0.4,
    "gamma": 0.4,
    "saturation": 0.4,
    "white_balance": 0.25,
    "illumination": 0.4,
}
"""Stronger than usual: it is to work for cameras it has not seen."""

TESTS: Mapping[str, tuple[str, str]] = {
    "drive": ("DRIVE", "vessel"),
    "chase": ("CHASEDB1", "vessel"),
    "hrf": ("HRF", "vessel"),
    "drions": ("DRIONS-DB", "disc"),
    "drishti-disc": ("Drishti-GS1_files", "disc"),
    "drishti-cup": ("Drishti-GS1_files", "cup"),
}
"""Name of a report to the data set's folder and the target it is about."""


def main() -> None:
    """Train the part that is asked for, or go on with it; or ship what there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public data sets")
    parser.add_argument("out", type=Path, help="folder for synthetic images and runs")
    parser.add_argument("part", choices=["base", "on", *ADAPTERS, "ship", "evaluate"])
    options = parser.parse_args()
    data, out = options.data.resolve(), options.out.resolve()
    if options.part == "ship":
        ship(out)
        return
    if options.part == "evaluate":
        evaluate(data, out)
        return
    # What only the base learns stays out of the user's own list of targets.
    os.environ["SAM2LORA_CONFIG"] = str(out / "config")
    for target in MORE_TARGETS:
        save_target(target)
    write_synthetic_set(
        out / SYNTHETIC, count=SYNTHETIC_IMAGES, settings=SyntheticSettings(size=1280)
    )
    if options.part == "cup":
        write_resized_cups(data, out / RESIZED)
    for part in ("start", "wide", "base") if options.part == "base" else (options.part,):
        run = out / part
        if not (run / "settings.json").exists():
            changes = settings_of(part, data, out)
            RunFolder.create(run, make_settings("standard", changes).model_dump_json(indent=2))
        code = subprocess.call([sys.executable, "-m", "sam2lora", "train", str(run)])
        if code:
            sys.exit(code)


def settings_of(part: str, data: Path, out: Path) -> dict[str, Any]:
    """Choose the data and settings of a run."""
    if part == "start":
        return start_settings(data)
    if part == "wide":
        return wide_settings(data, out)
    if part == "base":
        return base_settings(data, out)
    return on_settings(data, out) if part == "on" else adapter_settings(part, data, out)


def start_settings(data: Path) -> dict[str, Any]:
    """Let random weights learn vessels, the finest target, in plain colors."""
    return {
        "train": "base",
        "from_scratch": True,
        "target": "vessel",
        "data": [source(data, name) for name in VESSELS],
        "augment": {"scale": (0.8, 1.4)},
        "prompts": {"none": 1, "points": 0, "box": 0, "box_and_points": 0, "previous": 0},
        "optimizer": {"warmup": 50},
        "validation": {"share": 0.12, "every": 300, "images": 6},
        "batch": 2,
        "steps": 1500,
    }


def wide_settings(data: Path, out: Path) -> dict[str, Any]:
    """Go on with all targets."""
    return mixed(data, out, result_of(out / "start"), vessels=3, others=1) | {"steps": 1500}


def base_settings(data: Path, out: Path) -> dict[str, Any]:
    """Go on with all targets, and with vessels without a prompt for nearly half of the samples."""
    return mixed(data, out, result_of(out / "wide"), vessels=5, others=1) | IN_CYCLES


def on_settings(data: Path, out: Path) -> dict[str, Any]:
    """Go on from the package's base, which is copied: the next one takes its place.

    The learning rate falls once, from less than in the cycles: their restarts cost what half a
    cycle had gained.
    """
    packaged = get_base("nano").path
    start = make_folder(out / "package") / packaged.name
    if not start.exists():
        with atomic_path(start) as temporary:
            temporary.write_bytes(packaged.read_bytes())
    return mixed(data, out, str(start), vessels=5, others=2) | {
        "loss": LOSS,
        "augment": COLORS | {"scale": (0.75, 1.35), "rotation": 45},
        "prompts": MOSTLY_NONE,
        "optimizer": {"learning_rate": 7e-4, "warmup": 50},
        "steps": ON_STEPS,
    }


def mixed(data: Path, out: Path, model: str, *, vessels: int, others: int) -> dict[str, Any]:
    """Learn all targets; the real images of vessels, and the others, take so many turns each."""
    real = [source(data, name) for name in VESSELS * vessels + OTHERS * others]
    return {
        "train": "base",
        "model": model,
        "target": "vessel",
        "also": ["disc", "cup", *(target.name for target in MORE_TARGETS)],
        "data": [*real, {"root": str(out / SYNTHETIC)}],
        "augment": COLORS | {"scale": (0.8, 1.5), "rotation": 45},
        "optimizer": {"warmup": 50},
        "validation": {"share": 0.12, "every": 500, "images": 8},
        "batch": 2,
    }


def adapter_settings(target: str, data: Path, out: Path) -> dict[str, Any]:
    """Choose the data and settings of one target's adapter."""
    usual = {
        "lora": {"rank": 14, "train_heads": True},
        "validation": {"share": 0.12, "every": ADAPTERS[target]["steps"] // 8, "images": 6},
    }
    return (
        usual
        | ADAPTERS[target]
        | {
            "model": newest_base(out),
            "target": target,
            "data": [
                source(data, name) if name in HELD_BACK else {"root": str(out / name)}
                for name in ADAPTERS[target]["data"]
            ],
            "augment": COLORS | {"rotation": 45},
            "prompts": MOSTLY_NONE,
            "batch": 2,
        }
    )


def write_resized_cups(data: Path, folder: Path) -> None:
    """Write the images to learn cups from, as they are and with smaller cups, as one data set.

    All images of one eye count as one patient's, so that none judges what another taught.
    """
    table = folder / TABLE_NAME
    if table.exists():  # it is written last
        return
    root, held_back = data / "Drishti-GS1_files", HELD_BACK["Drishti-GS1_files"]
    records = official_split(read_dataset(root).records, "train")
    rng = np.random.default_rng(0)
    rows = ["image,cup,patient"]
    for part in ("images", "cups"):
        make_folder(folder / part)
    for record in filter_by_stem(records, root, exclude=held_back):
        pixels = record.read_image().pixels
        disc, cup = record.read_mask("disc"), record.read_mask("cup")
        factors = [rng.uniform(*span) for span in CUP_FACTORS]
        eyes = [(pixels, cup), *(resize_cup(pixels, disc, cup, factor) for factor in factors)]
        for number, (picture, mask) in enumerate(eyes):
            # Those that are as they were come first, also among those that judge.
            image = f"{number}_{record.image.stem}.png"
            save_image(folder / "images" / image, picture)
            save_image(folder / "cups" / image, mask)
            rows.append(f"images/{image},cups/{image},{record.patient}")
    with atomic_path(table) as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")


def ship(out: Path) -> None:
    """Put the best base and adapters into the package, in float16."""
    path, reports = get_base("nano").path, out / REPORTS
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        temporary.write_bytes(Path(newest_base(out)).read_bytes())
    names = ", ".join(f"nano-{target}" for target in ADAPTERS)
    with atomic_path(path.with_name("README.md")) as temporary:
        temporary.write_text(base_card(path, reports, adapters=names), encoding="utf-8")
    for target in ADAPTERS:
        adapter = find_adapter(out / target)
        tensors = safetensors.torch.load(adapter.weights.read_bytes())
        halves = {name: tensor.half() for name, tensor in tensors.items()}
        name = f"nano-{target}"
        shipped = replace(
            adapter,
            card=adapter.card.renamed(name).model_copy(
                update={
                    "license": "research use",
                    "data": adapter.card.data | {"terms": TERMS},
                    "purpose": PURPOSE[target],
                    "limits": LIMITS,
                    "commands": tuple(COMMANDS.format(part=one) for one in (*BASE_PARTS, target)),
                    "results": results_for(target, reports),
                }
            ),
        )
        with new_folder(shipped_folder() / name, replace=True) as partial:
            (partial / WEIGHTS).write_bytes(safetensors.torch.save(halves, {"format": "pt"}))
            (partial / CONFIG).write_bytes((adapter.folder / CONFIG).read_bytes())
            for file, text in shipped.texts().items():
                (partial / file).write_text(text, encoding="utf-8")
    (shipped_folder() / ".lock").unlink(missing_ok=True)


def evaluate(data: Path, out: Path) -> None:
    """Measure the package's model on the images kept for testing, by the usual command."""
    for name, (folder, target) in TESTS.items():
        held_back = HELD_BACK[folder]
        some = ["--split", "all", "--include", held_back] if held_back else ["--split", "test"]
        both = ["--bare", "--regimes", "none,box"] if target != "vessel" else []
        words = [str(data / folder), "--target", target, *some, *both]
        words += ["--adapter", f"nano-{target}", "--out", str(out / REPORTS / name)]
        subprocess.run([sys.executable, "-m", "sam2lora", "evaluate", *words], check=True)


def result_of(run: Path) -> str:
    """Give the weights of the best base that a run has made so far."""
    best = best_adapter(run)
    if best is None:
        raise SystemExit(f"{run}: has no result yet; it has to be trained first.")
    return str(best.folder / "nano.safetensors")


def newest_base(out: Path) -> str:
    """Give the weights of the base that has learned longest."""
    return result_of(out / ("on" if (out / "on").exists() else "base"))


def source(data: Path, name: str) -> Mapping[str, Any]:
    """Give the training part of a data set."""
    return {"root": str(data / name), "exclude": HELD_BACK[name]}


if __name__ == "__main__":
    main()
