"""Training data and settings for each part of the embedded model's training."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2lora.annotations import LabelledImage, save_training_data
from sam2lora.datasets import filter_by_stem, official_split, read_dataset
from sam2lora.datasets.csv_dataset import TABLE_NAME
from sam2lora.models.registry import get_base
from sam2lora.runs import best_adapter, list_adapters_of_run
from sam2lora.synthetic import SyntheticSettings, resize_cup
from sam2lora.synthetic.folder import POINTS_NAME, write_synthetic_dataset
from sam2lora.targets import Target
from sam2lora.utils.files import atomic_path, make_folder

DRISHTI = "Drishti-GS1_files"

TEST_IMAGES = {
    "DRIVE": None,  # the official test split
    "CHASEDB1": r"^Image_1[1-4]",
    "HRF": r"^0[78]_",
    DRISHTI: r"_(080|081|084|088|089|090|092|094|098|101)$",
    "DRIONS-DB": r"_(09[1-9]|10\d|110)$",
    # None of these is tested on; the ellipses have a file of their own for the test images.
    "ellipses/train.csv": None,
    "IDRiD": None,
    "PALM": None,
    "REFUGE-crops": None,
}
"""Regular expression of the images kept for testing, by the folder of the dataset."""

VESSELS = ("DRIVE", "CHASEDB1", "HRF")
OTHERS = (DRISHTI, "DRIONS-DB")
ELLIPSES = "ellipses/train.csv"
DISCS = (ELLIPSES, "IDRiD", "PALM", "REFUGE-crops", *OTHERS)

SYNTHETIC = "synthetic"
"""Folder in OUT for the synthetic images."""

SYNTHETIC_IMAGES = 120

EYES = "eyes"
"""Folder in OUT for the synthetic images whose foveas are learned first."""

SYNTHETIC_EYES = 96

RESIZED = "resized_cups/DRISHTI-GS"
"""Folder in OUT for the Drishti-GS images, each also with smaller cups in its disc.

The validation split depends on the name of the dataset, so it has that of the original.
"""

CUP_FACTORS = ((0.5, 0.63), (0.63, 0.79), (0.79, 1.0))
"""Smallest and largest size factor, for each additional cup of an image."""

CYCLE = 2000
CYCLES = 8
"""Steps in each cycle of the base's learning rate, and number of cycles."""

ON_STEPS = 7000
"""Steps of the part `on`, in which the learning rate falls once."""

MOSTLY_NONE = {
    "none": 0.75,
    "points": 0.1,
    "box": 0.04,
    "box_and_points": 0.04,
    "previous": 0.07,
}
"""How often each kind of prompt is sampled; without a prompt, the base segments vessels."""

IN_CYCLES: Mapping[str, Any] = {
    "prompts": MOSTLY_NONE,
    "optimizer": {"schedule": "restarts", "restart_every": CYCLE, "warmup": 50},
    "steps": CYCLES * CYCLE,
}
"""Settings of a long training with restarts of the learning rate."""

# Targets of the promptable base besides the default ones; synthetic images have their masks.
MORE_TARGETS = (
    Target(name="artery", label=4, color="#d62728", detail="tiles"),
    Target(name="vein", label=5, color="#1f77b4", detail="tiles"),
    Target(name="lesion_dark", label=6, color="#8c564b", detail="tiles"),
    Target(name="lesion_bright", label=7, color="#ffdd88", detail="tiles"),
)

LOSS = {"weights": {"bce": 4}}
"""Cross-entropy matters most, but is a fifth of a plain sum (`docs/models/ablation.md`)."""

LORA = {"rank": 14, "train_heads": True}

BAD_PHOTOGRAPHS = {
    "brightness": 2,
    "gamma": 0.6,
    "blur": 8,
    "blur_share": 0.3,
    "noise": 0.1,
    "glare_share": 0.25,
}
"""Too dark, too bright, out of focus, with reflections: a disc can be seen where vessels cannot."""

ADAPTERS: Mapping[str, Any] = {
    "vessel": {
        "data": VESSELS,
        "geometry": {"detail": "tiles", "field_size": 1600},
        # Training and validation are equally good, so no regularisation is needed.
        "lora": {"dropout": 0},
        "loss": LOSS,
        "steps": 2500,
    },
    "disc": {
        "data": DISCS,
        "augment": BAD_PHOTOGRAPHS,
        "validation": {"share": 0.12, "every": 300, "images": 24},
        "steps": 2400,
    },
    "cup": {
        # Nearly all real cups are glaucomatous and large. Synthetic eyes would also be validation
        # images, where a single missed cup outweighs the progress on real ones.
        "data": (ELLIPSES, "REFUGE-crops", RESIZED),
        "augment": BAD_PHOTOGRAPHS,
        "validation": {"share": 0.12, "every": 300, "images": 24},
        "steps": 2400,
    },
    "fovea": {
        "data": (ELLIPSES,),
        "validation": {"share": 0.25, "every": 40, "images": 12},
        "steps": 280,
    },
}

FOVEA_START = "fovea-start"
"""The part that learns the fovea of synthetic eyes, before `fovea` learns that of real ones."""

VESSEL_HEAD = "vessel-head"
"""The part that trains the detail head of the vessel adapter."""

COLORS = {
    "brightness": 0.4,
    "contrast": 0.4,
    "gamma": 0.4,
    "saturation": 0.4,
    "white_balance": 0.25,
    "illumination": 0.4,
    "style_share": 0.5,
}
"""Stronger than the default, and with the colors of the other datasets, for unseen cameras."""


def prepare(part: str, data: Path, out: Path) -> None:
    """Write the training data of a part besides the public datasets, unless it exists.

    Synthetic images for the base and the fovea; for cups, Drishti-GS again with additional smaller
    cups.
    """
    if part in ("base", "on"):
        settings = SyntheticSettings(size=1280)
        write_synthetic_dataset(out / SYNTHETIC, count=SYNTHETIC_IMAGES, settings=settings)
    elif part == "fovea":
        settings = SyntheticSettings(size=640)
        write_synthetic_dataset(out / EYES, count=SYNTHETIC_EYES, settings=settings)
    elif part == "cup" and not (out / RESIZED / TABLE_NAME).exists():  # the table is written last
        save_training_data(out / RESIZED, resized_cups(data / DRISHTI))


def resized_cups(root: Path) -> Iterator[LabelledImage]:
    """Yield the images to train cups on, with their own and with smaller cups.

    All versions of an image have one patient, so that they stay on one side of the split.
    """
    records = official_split(read_dataset(root).records, "train")
    rng = np.random.default_rng(0)
    for record in filter_by_stem(records, root, exclude=TEST_IMAGES[DRISHTI]):
        pixels = record.read_image().pixels
        disc, cup = record.read_mask("disc"), record.read_mask("cup")
        factors = [rng.uniform(*span) for span in CUP_FACTORS]
        versions = [(pixels, cup), *(resize_cup(pixels, disc, cup, factor) for factor in factors)]
        for number, (image, mask) in enumerate(versions):
            name = f"{number}_{record.stem}"
            masks = {"disc": disc, "cup": mask}
            yield LabelledImage(name, image, masks, patient=record.patient)


def settings_for(part: str, data: Path, out: Path) -> dict[str, Any]:
    """Return the data and settings of a run."""
    if part == "start":
        return start_settings(data)
    if part == "wide":
        return wide_settings(data, out)
    if part == "base":
        return base_settings(data, out)
    if part == FOVEA_START:
        return fovea_start_settings(out)
    if part == VESSEL_HEAD:
        return vessel_head_settings(data, out)
    return on_settings(data, out) if part == "on" else adapter_settings(part, data, out)


def start_settings(data: Path) -> dict[str, Any]:
    """Return the settings to train random weights on vessels, without color augmentation."""
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
    """Return the settings to continue with all targets."""
    weights = best_weights(out / "start")
    return mixed(data, out, weights, VESSELS * 3 + OTHERS) | {"steps": 1500}


def base_settings(data: Path, out: Path) -> dict[str, Any]:
    """Return the settings to continue, with vessels without a prompt in nearly half the samples."""
    return mixed(data, out, best_weights(out / "wide"), VESSELS * 5 + OTHERS) | IN_CYCLES


def on_settings(data: Path, out: Path) -> dict[str, Any]:
    """Return the settings to continue from a copy of the package's base, which is replaced later.

    The learning rate falls once, from a lower value than in the cycles, whose restarts lose the
    progress of half a cycle.
    """
    packaged = get_base("nano").path
    start = make_folder(out / "package") / packaged.name
    if not start.exists():
        with atomic_path(start) as temporary:
            temporary.write_bytes(packaged.read_bytes())
    return mixed(data, out, str(start), VESSELS * 5 + DISCS) | {
        "loss": LOSS,
        "augment": COLORS | {"scale": (0.75, 1.35), "rotation": 45},
        "prompts": MOSTLY_NONE | {"corrected": 0.4},
        "optimizer": {"learning_rate": 7e-4, "warmup": 50},
        "steps": ON_STEPS,
    }


def mixed(data: Path, out: Path, model: str, datasets: Sequence[str]) -> dict[str, Any]:
    """Return the settings for all targets, with each dataset as often as it is named."""
    real = [source(data, name) for name in datasets]
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
    """Return the data and settings of one target's adapter."""
    recipe, model = ADAPTERS[target], newest_base(out)
    lora = LORA | recipe.get("lora", {})
    start = {}
    if target == "fovea":
        start = {"start_from": str(out / FOVEA_START)}
    elif model == "nano":  # the package's own adapter fits the package's base alone
        start = {"start_from": f"nano-{target}"}
        del lora["rank"]  # it is the adapter's, which a detail head may have reduced
    return {
        "validation": {"share": 0.12, "every": recipe["steps"] // 8, "images": 6},
        **recipe,
        **start,
        "lora": lora,
        "model": model,
        "target": target,
        "data": [
            source(data, name) if name in TEST_IMAGES else {"root": str(out / name)}
            for name in recipe["data"]
        ],
        "augment": COLORS | recipe.get("augment", {}) | {"rotation": 45},
        "prompts": MOSTLY_NONE,
        "batch": 2,
    }


def fovea_start_settings(out: Path) -> dict[str, Any]:
    """Return the settings to learn the fovea of synthetic eyes, whose place is known exactly."""
    return {
        "lora": LORA,
        "model": newest_base(out),
        "target": "fovea",
        "data": [{"root": str(out / EYES / POINTS_NAME)}],
        "augment": COLORS | {"rotation": 45, "scale": (0.7, 1.4)},
        "validation": {"share": 0.1, "every": 55, "images": 8},
        "batch": 2,
        "steps": 110,
    }


def vessel_head_settings(data: Path, out: Path) -> dict[str, Any]:
    """Return the settings, beside those of the preset `detail`, of the vessel adapter's head.

    The base and LoRA are frozen. Without an adapter trained here, it is the package's that gets a
    head, or whose head is trained further.
    """
    trained = out / "vessel"
    return {
        "model": newest_base(out),
        "start_from": str(trained) if trained.exists() else "nano-vessel",
        "target": "vessel",
        "data": [source(data, name) for name in VESSELS],
        "augment": COLORS | {"rotation": 45},
        "validation": {"share": 0.12, "every": 500, "images": 6},
        "checkpoint_every": 100,
        "variants": 12,
        "steps": 2500,
    }


def best_weights(run: Path) -> str:
    """Return the path of the best base weights of a run so far."""
    best = best_adapter(run)
    if best is None:
        raise SystemExit(f"{run}: has no result yet. Train this part first.")
    return str(best.folder / "nano.safetensors")


def last_step(run: Path) -> Path:
    """Return the folder of the adapter of the last validation of a run."""
    return list_adapters_of_run(run)[-1].folder


def newest_base(out: Path) -> str:
    """Return the weights of the base that was trained longest; "nano" if none was trained here."""
    trained = [out / part for part in ("on", "base") if (out / part).exists()]
    return best_weights(trained[0]) if trained else "nano"


def source(data: Path, name: str) -> Mapping[str, Any]:
    """Return a dataset without its test images, for the training settings."""
    # Ellipses of grade C are guesses.
    grades = {"grades": ("A", "B")} if name == ELLIPSES else {}
    return {"root": str(data / name), "exclude": TEST_IMAGES[name]} | grades
