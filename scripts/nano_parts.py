"""What each part of the embedded model's training learns from, and with which settings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sam2lora.annotations import LabelledImage, save_training_data
from sam2lora.datasets import filter_by_stem, official_split, read_dataset
from sam2lora.datasets.csv_dataset import TABLE_NAME
from sam2lora.models.registry import get_base
from sam2lora.runs import best_adapter
from sam2lora.synthetic import SyntheticSettings, resize_cup
from sam2lora.synthetic.folder import write_synthetic_dataset
from sam2lora.targets import Target
from sam2lora.utils.files import atomic_path, make_folder

DRISHTI = "Drishti-GS1_files"

HELD_BACK = {
    "DRIVE": None,  # its official split does it
    "CHASEDB1": r"^Image_1[1-4]",
    "HRF": r"^0[78]_",
    DRISHTI: r"_(080|081|084|088|089|090|092|094|098|101)$",
    "DRIONS-DB": r"_(09[1-9]|10\d|110)$",
}
"""Folder of a data set to the images kept for testing."""

VESSELS = ("DRIVE", "CHASEDB1", "HRF")
OTHERS = (DRISHTI, "DRIONS-DB")

SYNTHETIC = "synthetic"
"""Folder in OUT of the drawn images."""

SYNTHETIC_IMAGES = 120

RESIZED = "resized_cups/DRISHTI-GS"
"""Folder in OUT of the Drishti-GS images, each also with smaller cups in its disc.

Who is held out follows from the name of the data set, so it has that of the original.
"""

CUP_FACTORS = ((0.5, 0.63), (0.63, 0.79), (0.79, 1.0))
"""Lowest and highest factor of the size, for each further cup of an image."""

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
        "data": VESSELS,
        "geometry": {"detail": "tiles", "field_size": 1600},
        # It is as good on what it learned from as on others, so nothing has to hold it back.
        "lora": {"rank": 14, "train_heads": True, "dropout": 0},
        "loss": LOSS,
        "steps": 2500,
    },
    "disc": {
        "data": OTHERS,
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


def prepare(part: str, data: Path, out: Path) -> None:
    """Write what a part learns from beside the public data sets, unless it is there.

    Drawn images for the base; for cups, Drishti-GS once more, with smaller cups too.
    """
    if part in ("base", "on"):
        drawn = SyntheticSettings(size=1280)
        write_synthetic_dataset(out / SYNTHETIC, count=SYNTHETIC_IMAGES, settings=drawn)
    elif part == "cup" and not (out / RESIZED / TABLE_NAME).exists():  # it is written last
        save_training_data(out / RESIZED, resized_cups(data / DRISHTI))


def resized_cups(root: Path) -> Iterator[LabelledImage]:
    """Give the images to learn cups from, as they are and with smaller cups.

    All images of one eye count as one patient's, so that none judges what another taught.
    """
    records = official_split(read_dataset(root).records, "train")
    rng = np.random.default_rng(0)
    for record in filter_by_stem(records, root, exclude=HELD_BACK[DRISHTI]):
        pixels = record.read_image().pixels
        disc, cup = record.read_mask("disc"), record.read_mask("cup")
        factors = [rng.uniform(*span) for span in CUP_FACTORS]
        eyes = [(pixels, cup), *(resize_cup(pixels, disc, cup, factor) for factor in factors)]
        for number, (picture, mask) in enumerate(eyes):
            name = f"{number}_{record.stem}"
            yield LabelledImage(name, picture, {"cup": mask}, patient=record.patient)


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
