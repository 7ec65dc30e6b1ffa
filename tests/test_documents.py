"""The documents for people: links, lengths, and the figures of weights."""

from pathlib import Path

import pytest
import yaml

from scripts.check_links import anchors, broken_links, links, missing_files, pages
from scripts.results_table import README, results_table, with_table
from scripts.shipped_weights import shipped_weights
from scripts.source_tree import ROOT

DOCS = sorted((ROOT / "docs").rglob("*.md"))
MODELS = sorted((ROOT / "docs" / "models").glob("*.md"))
FIGURES_LEFT_ALONE = ("history", "none")
"""In place of weights: figures of earlier ones, and pages whose figures depend on no weights."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", pages(), ids=name)
def test_links_lead_somewhere(path: Path):
    assert not broken_links(path)
    assert not missing_files(path)


def test_broken_links_are_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `title` (of mine)\n[a](#a-title-of-mine) [b](#b) [c](gone.md) ![d](d.png)\n"
        "[e](https://example.org) [f](page.md#a-title-of-mine)\n\n"
        "`scripts/gone.py` `scripts/check_links.py`\n\n"
        "```sh\npython scripts/other.py DATA\npython -m scripts.check_links\n```\n"
    )
    assert anchors(page) == {"a-title-of-mine"}
    assert len(links(page)) == 6
    assert broken_links(page) == ["#b", "gone.md", "d.png"]
    assert missing_files(page) == ["scripts/gone.py", "scripts/other.py"]


@pytest.mark.parametrize("path", [*DOCS, README], ids=name)
def test_page_is_short(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    long = [line for line in lines if len(line) > 140 and not line.startswith("|")]
    assert not long


@pytest.mark.shipped
def test_readme_has_the_results_of_the_cards():
    text = README.read_text(encoding="utf-8")
    assert results_table() in text
    assert text == with_table(text), "run `python -m scripts.results_table`"


@pytest.mark.shipped
@pytest.mark.parametrize("path", MODELS, ids=name)
def test_figures_are_of_weights_that_are_shipped(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("---\n"), "name the weights of the page's figures, or history, or none"
    weights = yaml.safe_load(text.split("---\n")[1])["weights"]
    if weights in FIGURES_LEFT_ALONE:
        return
    shipped = shipped_weights()
    older = {key: digest for key, digest in weights.items() if shipped.get(key) != digest}
    assert not older, "measure again and name the new weights, or write `weights: history`"


@pytest.mark.shipped
def test_readme_sums_up_its_table():
    rows = [line.split(" | ") for line in results_table().splitlines()]
    text = " ".join(README.read_text(encoding="utf-8").split())
    for target in ("vessel", "disc", "cup"):
        means = [float(row[3]) for row in rows if row[0] == f"| {target}"]
        assert f"{min(means):.2f} to {max(means):.2f} for {target}s" in text
