"""MkDocs hook: pages and tables that are generated from the code, so that they stay up to date.

A reference page for each module of `sam2lora` with public definitions, the tables of datasets and
of results, the notebooks, and the page for contributors, which is CONTRIBUTING.md.
"""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from sam2lora.datasets import DATASETS
from scripts.results_table import results_table

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src_training"
DOCS = ROOT / "docs"
CONTRIBUTING = "develop/contributing.md"
HISTORY, NO_WEIGHTS = "history", "none"
_OLD = (
    "!!! note\n    The figures on this page are of weights and versions before the current ones, "
    "and stay as they were measured.\n"
)

_RESULTS = (
    "*The table of results is in the [README](../../README.md#how-accurate-it-is) and in the built "
    "documentation.*"
)
_DATASETS = "*The built documentation lists the {} here; `sam2lora datasets list` prints them too.*"
TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "models/results.md": {_RESULTS: results_table},
    "models/nano.md": {_RESULTS: results_table},
    "command_line/datasets.md": {
        _DATASETS.format("public datasets"): lambda: dataset_table(public=True),
        _DATASETS.format("layouts"): lambda: dataset_table(public=False),
    },
}
"""For each page, the sentences that tables replace; a reader in a checkout sees the sentences."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation: one entry for each module, or package with modules."""
    packages: dict[str, list[dict[str, str]]] = {}
    for name in modules():
        page = f"reference/{name}.md"
        package, _, module = name.removeprefix("sam2lora.").partition(".")
        packages.setdefault(package, []).append({module or package: page})
    entries = [
        pages[0] if len(pages) == 1 else {package: pages} for package, pages in packages.items()
    ]
    config.nav.append({"Reference": entries})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page with the docstrings of each module, one of each notebook, and CONTRIBUTING.md."""
    for path in sorted(DOCS.rglob("*.ipynb")):
        page = path.relative_to(DOCS).with_name(f"{path.stem}_notebook.md").as_posix()
        files.append(File.generated(config, page, content=notebook_page(path)))
    for name in modules():
        text = f"# `{name}`\n\n::: {name}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    files.append(File.generated(config, CONTRIBUTING, content=contributing_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Insert the generated tables, and which weights the figures of a page are of."""
    markdown = with_tables(markdown, page.file.src_uri)
    return with_weights(markdown, page.meta.get("weights", NO_WEIGHTS))


def on_page_content(html: str, page: Page, **_: object) -> str:
    """Link pictures to their full size, and let names in tables break after `_` and `/`."""
    if page.file.src_uri.startswith("reference/"):
        return html
    html = re.sub(r'<img [^>]*src="([^"]+)"[^>]*>', r'<a class="picture" href="\1">\g<0></a>', html)
    return re.sub(r"<td[^>]*>.*?</td>", _with_breaks, html, flags=re.DOTALL)


def _with_breaks(cell: re.Match[str]) -> str:
    """Mark where the code in a cell of a table may be broken."""
    return re.sub(
        r"(?<=<code>)[^<]+", lambda code: re.sub(r"([_/])(?=\w)", r"\1<wbr>", code[0]), cell[0]
    )


def with_tables(markdown: str, page: str) -> str:
    """Return a page with tables in place of the sentences that stand for them in a checkout.

    Raises
    ------
    ValueError
        If the page lacks a sentence that a table is to replace.
    """
    for sentence, table in TABLES.get(page, {}).items():
        if sentence not in markdown:
            raise ValueError(f"docs/{page} lacks the sentence that a table replaces: {sentence}")
        markdown = markdown.replace(sentence, table())
    return markdown


def with_weights(markdown: str, weights: dict[str, str] | str) -> str:
    """Add which weights the figures of a page are of: at its end, or before old ones a warning."""
    if weights == NO_WEIGHTS:
        return markdown
    if weights == HISTORY:
        title, rest = markdown.lstrip().split("\n", 1)
        return f"{title}\n\n{_OLD}\n{rest}"
    names = ", ".join(f"{name} `{digest}`" for name, digest in weights.items())
    return f"{markdown}\n\n*Weights of the figures, by the beginning of their SHA-256: {names}.*\n"


def contributing_page() -> str:
    """Return CONTRIBUTING.md with its links as they are from the page's folder.

    Files outside the documentation are not on the site: of their links only the text stays.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = text.replace("](docs/develop/", "](").replace("](docs/", "](../")
    return re.sub(r"\[([^\]]+)\]\([A-Z_]+(?:\.md)?\)", r"\1", text)


def modules() -> list[str]:
    """List the dotted names of the modules with public definitions."""
    found = []
    for path in sorted(SOURCE.glob("sam2lora/**/*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if path.stem == "__init__":
            parts = parts[:-1]
        public = not any(part.startswith("_") for part in parts)
        if public and _defines_something(path):
            found.append(".".join(parts))
    return found


def _defines_something(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return any(isinstance(node, kinds) for node in body)


def dataset_table(*, public: bool) -> str:
    """Return a table of the public datasets, or of the layouts for the user's own data."""
    rows = ["| layout | description | example image |", "|---|---|---|"]
    for layout in DATASETS.values():
        if layout.public == public:
            about = " ".join(filter(None, [layout.about + ".", layout.note]))
            rows.append(f"| {layout.name} | {about} | `{layout.example}` |")
    return "\n".join(rows)


def notebook_page(path: Path) -> str:
    """Return the cells of a notebook as Markdown, with a link to its file."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"] == "code") for cell in cells]
    parts = [f"```python\n{text}\n```" if is_code else text for text, is_code in texts]
    return "\n\n".join([*parts, f"[The notebook]({path.name}), to run it."]) + "\n"
