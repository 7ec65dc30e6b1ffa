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
_OPEN = r"^(Image_1[1-4]|0[78]_(h|g|dr)$)"  # the test images of CHASE_DB1 and HRF
_WIDTH = 1200  # pixels


class Part(NamedTuple):
    """A picture: the target, the dataset in DATA, and which of its images."""

    target: str
    dataset: str
    include: str


PARTS = {
    "vessel-chase": Part("vessel", "CHASEDB1", str(TEST_IMAGES["CHASEDB1"])),
    "vessel-hrf": Part("vessel", "HRF", str(TEST_IMAGES["HRF"])),
    "disc": Part("disc", "ellipses/test.csv", _OPEN),
    "cup": Part("cup", "ellipses/test.csv", _OPEN),
}


def main(data: Path, out: Path) -> None:
    """Evaluate each part, unless its report exists, and write the report's picture, smaller."""
    for name, part in PARTS.items():
        report = out / name
        if not report.exists():
            arguments = [str(data / part.dataset), "--target", part.target, "--split", "all"]
            arguments += ["--include", part.include, "--grades", "A,B", "--regimes", "none"]
            arguments += ["--adapter", f"nano-{part.target}", "--out", str(report)]
            subprocess.run([sys.executable, "-m", "sam2lora", "evaluate", *arguments], check=True)
        with Image.open(report / "overview.png") as picture:
            height = round(picture.height * _WIDTH / picture.width)
            small = picture.convert("RGB").resize((_WIDTH, height), Image.Resampling.LANCZOS)
        small.save(IMAGES / f"gallery-{name}.webp", quality=75, method=6)
        sys.stdout.write(f"{IMAGES / name}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
