"""Train the embedded model: its base, then one adapter for each target, all as ordinary runs.

    python scripts/train_nano.py DATA OUT base
    python scripts/train_nano.py DATA OUT on
    python scripts/train_nano.py DATA OUT vessel
    python scripts/train_nano.py DATA OUT vessel-head
    python scripts/train_nano.py DATA OUT disc
    python scripts/train_nano.py DATA OUT cup
    python scripts/train_nano.py DATA OUT fovea
    python scripts/train_nano.py DATA OUT ship
    python scripts/train_nano.py DATA OUT evaluate

DATA holds the public datasets in their official layouts: DRIVE, CHASEDB1, HRF, Drishti-GS1_files,
DRIONS-DB, IDRiD, PALM and REFUGE-crops, and the ellipses. OUT gets a run folder for each part, and
the images generated for it (`nano_parts`). An interrupted part resumes when its command is run
again. `ship` writes the results into the package; without a new base, adapters that were not
trained in OUT stay as they are. `evaluate` measures the package's models on the test images, and
the next `ship` writes the results into the cards.

The base is trained by three runs: `start` learns vessels only, from random weights, because
learning all tasks at once from scratch is too slow; `wide` adds all other tasks; `base` continues
with more vessels among them, in cycles of a falling learning rate. After each cycle its best result
can be used, and the next part can start. `on` needs none of these runs: it continues from the base
in the package, at a learning rate that falls once, with more discs and cups. The adapters are
trained on the result of `on`, or else of `base`, or else they continue from the package's.
`vessel-head` gives the vessel adapter a detail head, or continues to train it. `fovea` learns from
synthetic eyes first (the run `fovea-start`), then from the few real ones.

Test images, excluded from all training: DRIVE's test half, the children 11 to 14 of CHASE_DB1, the
HRF images 07_* and 08_*, the DRIONS-DB images 091 to 110 and the last ten Drishti-GS images. The
ellipses of discs and cups are in two files, of which `ellipses/test.csv` is of these images.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors.torch
from nano_cards import (
    BASE_PARTS,
    COMMANDS,
    DISC_TERMS,
    FOVEA_TERMS,
    LIMITS,
    PURPOSE,
    TERMS,
    base_card,
    point_results_for,
    results_for,
)
from nano_parts import (
    ADAPTERS,
    DRISHTI,
    FOVEA_START,
    MORE_TARGETS,
    TEST_IMAGES,
    VESSEL_HEAD,
    last_step,
    newest_base,
    prepare,
    settings_for,
)

from sam2lora.adapters import find_adapter
from sam2lora.adapters.folder import CONFIG, HEAD, WEIGHTS
from sam2lora.adapters.store import shipped_folder
from sam2lora.models.registry import get_base
from sam2lora.runs import RunFolder
from sam2lora.targets import save_target
from sam2lora.training.settings import make_settings
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.folders import new_folder

PARTS = ("base", "on", *ADAPTERS, VESSEL_HEAD, "ship", "evaluate")

LAST_STEP = ("disc", "cup")
"""Targets whose last step is shipped, not the best one.

They learn from bad photographs, too, and validation images are good ones: the best by them is often
the adapter that the training began with.
"""

REPORTS = "reports"
"""Folder in OUT for the evaluation reports."""

TESTS: Mapping[str, tuple[str, str]] = {
    "drive": ("DRIVE", "vessel"),
    "chase": ("CHASEDB1", "vessel"),
    "hrf": ("HRF", "vessel"),
    "drions": ("DRIONS-DB", "disc"),
    "drishti-disc": (DRISHTI, "disc"),
    "drishti-cup": (DRISHTI, "cup"),
    "ellipses-disc": ("ellipses/test.csv", "disc"),
    "ellipses-cup": ("ellipses/test.csv", "cup"),
    "ellipses-fovea": ("ellipses/test.csv", "fovea"),
}
"""Folder of the dataset, and target, by the name of the report."""


def main() -> None:
    """Train or resume the requested part, ship the results, or evaluate them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for runs and generated images")
    parser.add_argument("part", choices=PARTS)
    options = parser.parse_args()
    data, out = options.data.resolve(), options.out.resolve()
    if options.part == "ship":
        ship(out)
        return
    if options.part == "evaluate":
        evaluate(data, out)
        return
    # Targets of the base alone stay out of the user's list of targets.
    os.environ["SAM2LORA_CONFIG"] = str(out / "config")
    for target in MORE_TARGETS:
        save_target(target)
    prepare(options.part, data, out)
    several = {"base": ("start", "wide", "base"), "fovea": (FOVEA_START, "fovea")}
    for part in several.get(options.part, (options.part,)):
        run = out / part
        if not (run / "settings.json").exists():
            preset = "detail" if part == VESSEL_HEAD else "standard"
            settings = make_settings(preset, settings_for(part, data, out))
            RunFolder.create(run, settings.model_dump_json(indent=2))
        code = subprocess.call([sys.executable, "-m", "sam2lora", "train", str(run)])
        if code:
            sys.exit(code)


def ship(out: Path) -> None:
    """Write the best base, and an adapter of each run, into the package, in float16."""
    path, reports, weights = get_base("nano").path, out / REPORTS, newest_base(out)
    runs = {
        target: [out / part for part in _parts_of(target) if (out / part).exists()]
        for target in ADAPTERS
    }
    missing = [target for target, trained in runs.items() if not trained]
    if weights != "nano" and missing:  # the package's adapters belong to the base that is there
        raise SystemExit(f"{out}: has a new base, but no adapter on it for {', '.join(missing)}.")
    make_folder(path.parent)
    if weights != "nano":
        with atomic_path(path) as temporary:
            temporary.write_bytes(Path(weights).read_bytes())
    names = ", ".join(f"nano-{target}" for target in ADAPTERS)
    with atomic_path(path.with_name("README.md")) as temporary:
        temporary.write_text(base_card(path, reports, adapters=names), encoding="utf-8")
    for target, trained in runs.items():
        if trained:
            _ship_adapter(trained[-1], target, reports)
    (shipped_folder() / ".lock").unlink(missing_ok=True)


_TERMS: Mapping[str, str] = {"vessel": TERMS, "fovea": FOVEA_TERMS}


def _parts_of(target: str) -> list[str]:
    """Return the parts that train an adapter, in order."""
    return [target, VESSEL_HEAD] if target == "vessel" else [target]


def _ship_adapter(run: Path, target: str, reports: Path) -> None:
    """Write the adapter of a run into the package, LoRA in float16, with its card."""
    adapter = find_adapter(last_step(run) if target in LAST_STEP else run)
    name = f"nano-{target}"
    parts = (*BASE_PARTS, *_parts_of(target))
    card = adapter.card.renamed(name).model_copy(
        update={
            "license": "research use",
            "data": adapter.card.data | {"terms": _TERMS.get(target, DISC_TERMS)},
            "purpose": PURPOSE[target],
            "limits": LIMITS,
            "commands": tuple(COMMANDS.format(part=part) for part in parts),
            "results": (point_results_for if target == "fovea" else results_for)(target, reports),
        }
    )
    with new_folder(shipped_folder() / name, replace=True) as partial:
        tensors = safetensors.torch.load(adapter.weights.read_bytes())
        halves = {key: tensor.half() for key, tensor in tensors.items()}
        (partial / WEIGHTS).write_bytes(safetensors.torch.save(halves, {"format": "pt"}))
        if card.detail_head:  # in float32, as its format requires
            (partial / HEAD).write_bytes(adapter.head_weights.read_bytes())
        (partial / CONFIG).write_bytes((adapter.folder / CONFIG).read_bytes())
        for file, text in replace(adapter, card=card).card_files().items():
            (partial / file).write_text(text, encoding="utf-8")


def evaluate(data: Path, out: Path) -> None:
    """Evaluate the package's models on the test images, by `sam2lora evaluate`."""
    for name, (folder, target) in TESTS.items():
        pattern = TEST_IMAGES.get(folder)
        images = ["--split", "all", "--include", pattern] if pattern else ["--split", "auto"]
        images += ["--grades", "A,B"]  # of ellipses; those of grade C are guesses
        compact = target in ("disc", "cup")
        no_adapter = ["--bare", "--regimes", "none,box"] if compact else []
        arguments = [str(data / folder), "--target", target, *images, *no_adapter]
        arguments += ["--adapter", f"nano-{target}", "--out", str(out / REPORTS / name)]
        subprocess.run([sys.executable, "-m", "sam2lora", "evaluate", *arguments], check=True)
    for name in ("drishti", "ellipses"):
        reports = [str(out / REPORTS / f"{name}-{target}") for target in ("disc", "cup")]
        models = ["--adapter", "nano-disc", "--adapter", "nano-cup"]  # of several in a report
        arguments = ["--cup-disc", *reports, *models, "--out", str(out / REPORTS / f"{name}-ratio")]
        subprocess.run([sys.executable, "-m", "sam2lora", "evaluate", *arguments], check=True)


if __name__ == "__main__":
    main()
