"""Train the embedded model: its base, then one adapter for each target, all as ordinary runs.

    python scripts/train_nano.py DATA OUT base
    python scripts/train_nano.py DATA OUT on
    python scripts/train_nano.py DATA OUT vessel
    python scripts/train_nano.py DATA OUT disc
    python scripts/train_nano.py DATA OUT cup
    python scripts/train_nano.py DATA OUT ship
    python scripts/train_nano.py DATA OUT evaluate

DATA holds the public data sets in their official layouts: DRIVE, CHASEDB1, HRF, Drishti-GS1_files
and DRIONS-DB. OUT gets a run folder for each part, and the images made for it (`nano_parts`). A
part that was interrupted goes on when its command is given again. `ship` puts the results into the
package; `evaluate` measures what is in the package on the images kept for testing, and the next
`ship` puts the figures into the cards.

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

import safetensors.torch
from nano_cards import BASE_PARTS, COMMANDS, LIMITS, PURPOSE, TERMS, base_card, results_for
from nano_parts import ADAPTERS, DRISHTI, HELD_BACK, MORE_TARGETS, newest_base, prepare, settings_of

from sam2lora.adapters import find_adapter
from sam2lora.adapters.folder import CONFIG, WEIGHTS
from sam2lora.adapters.store import shipped_folder
from sam2lora.models.registry import get_base
from sam2lora.runs import RunFolder
from sam2lora.targets import save_target
from sam2lora.training.settings import make_settings
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.folders import new_folder

REPORTS = "reports"
"""Folder in OUT of the measurements."""

TESTS: Mapping[str, tuple[str, str]] = {
    "drive": ("DRIVE", "vessel"),
    "chase": ("CHASEDB1", "vessel"),
    "hrf": ("HRF", "vessel"),
    "drions": ("DRIONS-DB", "disc"),
    "drishti-disc": (DRISHTI, "disc"),
    "drishti-cup": (DRISHTI, "cup"),
}
"""Name of a report to the data set's folder and the target it is about."""


def main() -> None:
    """Train the part that is asked for, or go on with it; or ship what there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public data sets")
    parser.add_argument("out", type=Path, help="folder for runs and made images")
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
    prepare(options.part, data, out)
    for part in ("start", "wide", "base") if options.part == "base" else (options.part,):
        run = out / part
        if not (run / "settings.json").exists():
            changes = settings_of(part, data, out)
            RunFolder.create(run, make_settings("standard", changes).model_dump_json(indent=2))
        code = subprocess.call([sys.executable, "-m", "sam2lora", "train", str(run)])
        if code:
            sys.exit(code)


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


if __name__ == "__main__":
    main()
