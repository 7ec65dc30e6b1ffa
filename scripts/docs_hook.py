"""MkDocs hook: pages and tables that are generated from the code, so that they stay up to date.

A reference page for each module of `sam2lora` with public definitions, and the tables of datasets.
"""

import ast
import json
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sam2lora.datasets import DATASETS

SOURCE = Path(__file__).resolve().parents[1] / "src_training"
DOCS = Path(__file__).resolve().parents[1] / "docs"


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
    """Add a page with the docstrings of each module, and one of each notebook."""
    for path in sorted(DOCS.glob("*.ipynb")):
        page = f"{path.stem}_notebook.md"
        files.append(File.generated(config, page, content=notebook_page(path)))
    for name in modules():
        text = f"# `{name}`\n\n::: {name}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Insert the tables of datasets at their markers."""
    markdown = markdown.replace("<!-- table of public data sets -->", dataset_table(public=True))
    return markdown.replace("<!-- table of own layouts -->", dataset_table(public=False))


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
