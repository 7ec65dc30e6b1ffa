"""Draw the Dice over the number of clicks, of several reports of `sam2lora evaluate --interactive`.

python docs/draw_clicks.py REPORT… PICTURE
"""

import sys
from pathlib import Path

from sam2lora.evaluation import read_report
from sam2lora.evaluation.report.clicks import click_figure


def main(*arguments: str) -> None:
    """Draw one picture of all reports."""
    *folders, picture = map(Path, arguments)
    first, *others = [read_report(folder) for folder in folders]
    images = [entry for report in (first, *others) for entry in report.images]
    figure = click_figure(first.model_copy(update={"images": images}))
    figure.savefig(picture, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
