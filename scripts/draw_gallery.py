"""Draw the gallery of the documentation: the best, the median and the worst image of each set.

    python -m scripts.draw_gallery DATA OUT

DATA holds the public datasets as `train_nano.py` takes them; the reports go into OUT, the pictures
into `docs/images/`. Only images of CHASE_DB1 and HRF are shown, which are CC BY 4.0; the terms of
the other datasets do not let their images be passed on.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from scripts.nano_parts import TEST_IMAGES

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_OPEN = ("CHASEDB1", "HRF")  # whose images may be shown
_WIDTH = 1200  # pixels


class Part(NamedTuple):
    """A picture: the target, and the dataset in DATA, or None for outlines of both datasets."""

    target: str
    dataset: str | None


PARTS = {
    "vessel-chase": Part("vessel", "CHASEDB1"),
    "vessel-hrf": Part("vessel", "HRF"),
    "disc": Part("disc", None),
    "cup": Part("cup", None),
}


def main(data: Path, out: Path) -> None:
    """Evaluate each part, unless its report exists, and write the report's picture, smaller."""
    for name, part in PARTS.items():
        report = out / name
        if not report.exists():
            arguments = ["--target", part.target, "--adapter", f"nano-{part.target}"]
            arguments += ["--split", "all", "--grades", "A,B", "--out", str(report)]
            if part.dataset is None:
                arguments.append(str(open_outlines(data, out)))
            else:
                arguments.append(str(data / part.dataset))
                arguments += ["--include", str(TEST_IMAGES[part.dataset])]
            subprocess.run([sys.executable, "-m", "sam2lora", "evaluate", *arguments], check=True)
        with Image.open(report / "overview.png") as picture:
            height = round(picture.height * _WIDTH / picture.width)
            small = picture.convert("RGB").resize((_WIDTH, height), Image.Resampling.LANCZOS)
        small.save(IMAGES / f"gallery-{name}.webp", quality=75, method=6)
        sys.stdout.write(f"{name}\n")


def open_outlines(data: Path, out: Path) -> Path:
    """Write a table of the outlines for testing, of the datasets whose images may be shown."""
    head, *rows = (data / "ellipses" / "test.csv").read_text(encoding="utf-8").splitlines()
    kept = [f"{data.resolve() / row}" for row in rows if row.split(",")[0] in _OPEN]
    path = out / "outlines.csv"
    path.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
