"""A hook of MkDocs: pages and tables that are made from the code, so that they cannot grow old.

One page of the reference for each module of `sam2lora` that defines something public, and the
tables of data sets.
"""

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sam2lora.datasets import DATASETS

SOURCE = Path(__file__).resolve().parents[1] / "src_training"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation: a module, or a package with its modules, an entry."""
    pages = {name: f"reference/{name}.md" for name in modules()}
    rooms: dict[str, list[dict[str, str]]] = {}
    for name, page in pages.items():
        room, _, part = name.removeprefix("sam2lora.").partition(".")
        rooms.setdefault(room, []).append({part or room: page})
    config.nav.append(
        {"Reference": [own[0] if len(own) == 1 else {room: own} for room, own in rooms.items()]}
    )
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page that shows a module's docstrings, for each module."""
    for name in modules():
        text = f"# `{name}`\n\n::: {name}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the tables of data sets where the page asks for them."""
    markdown = markdown.replace("<!-- table of public data sets -->", data_sets(public=True))
    return markdown.replace("<!-- table of own layouts -->", data_sets(public=False))


def modules() -> list[str]:
    """Give the dotted names of the modules that define something public."""
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


def data_sets(*, public: bool) -> str:
    """Give a table of the layouts that are public data sets, or of those for one's own."""
    rows = ["| layout | what it is | an image |", "|---|---|---|"]
    for layout in DATASETS.values():
        if layout.public == public:
            about = " ".join(filter(None, [layout.about + ".", layout.note]))
            rows.append(f"| {layout.name} | {about} | `{layout.example}` |")
    return "\n".join(rows)
