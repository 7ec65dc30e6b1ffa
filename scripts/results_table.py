"""Write the table of how good the shipped adapters are, from their cards, into the README.

    python -m scripts.results_table

The page of results gets the same table while the site is built; a test fails when the README's is
not that of the cards. The figures in the cards are those of `train_nano.py DATA OUT evaluate`.
"""

from pydantic import JsonValue

from sam2lora.adapters import Adapter, list_adapters
from scripts.source_tree import ROOT

README = ROOT / "README.md"
START, END = "<!-- results of the cards -->\n", "<!-- end of results -->"

_TARGETS = ("vessel", "disc", "cup", "fovea")
_ALL = "all"  # of a point: the summary over every dataset


def results_table() -> str:
    """Return the mean and the worst image of each adapter on each dataset, in Markdown.

    Two digits: of so few images the third says nothing.
    """
    adapters = {one.card.target.name: one for one in list_adapters() if one.shipped}
    rows = [row for target in _TARGETS for row in _rows(target, adapters[target])]
    head = ["| target | test images | number | mean | worst image |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _rows(target: str, adapter: Adapter) -> list[str]:
    results = adapter.card.results
    if _ALL in results:
        return [_row(target, "three datasets", results[_ALL])]
    return [_row(target, name, results[name]) for name in sorted(results)]


def _row(target: str, dataset: str, found: JsonValue) -> str:
    assert isinstance(found, dict)
    if "dice" in found:
        mean, worst = f"{found['dice']:.2f}", f"{found['lowest_dice']:.2f}"
    else:
        mean = f"{found['error_in_discs']:.2f} disc diameters off"
        worst = f"{found['largest_error_in_discs']:.2f}"
    name = dataset.removesuffix("-masks")
    return f"| {target} | {name} | {found['images']} | {mean} | {worst} |"


def with_table(text: str) -> str:
    """Return a page with the table between its two markers."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{results_table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
