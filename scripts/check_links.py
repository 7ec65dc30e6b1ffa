"""Check the links of every page of the repository, without a network.

    python -m scripts.check_links [--external]

A link to a file has to lead to a file of the repository, and one to a heading to a heading. A
command `python SCRIPT` or `python -m MODULE` in a page, and a path of a script in backticks, has to
name one that is there. Links to other sites are not opened; `--external` lists them. What the
documentation's site generates (the reference, notebooks' pages) is checked by `mkdocs build`.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from scripts.source_tree import ROOT

_PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
_GENERATED = re.compile(
    r"docs/reference/|docs/command_line/\w+_notebook\.md|docs/develop/contributing"
)
_COMMAND = re.compile(r"python (?:-m ((?:scripts|benchmarks)[\w.]*)|([\w/]+\.py))")
_SCRIPT = re.compile(r"(?:scripts|benchmarks|docs|tests)/[\w/.-]+")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def pages() -> list[Path]:
    """List the Markdown files for people: at the top of the repository, and in `docs/`."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def tokens(path: Path) -> Iterator[Token]:
    """Parse a page; yield its tokens, those inside paragraphs too."""
    text = _FRONT_MATTER.sub("", path.read_text(encoding="utf-8"))
    for token in _PARSER.parse(text):
        yield token
        yield from token.children or ()


def links(path: Path) -> list[str]:
    """List where the links and pictures of a page lead."""
    found = (token.attrGet("href") or token.attrGet("src") for token in tokens(path))
    return [str(target) for target in found if target]


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as MkDocs and GitHub name them."""
    parsed = _PARSER.parse(_FRONT_MATTER.sub("", path.read_text(encoding="utf-8")))
    titles = (
        parsed[n + 1].content for n, token in enumerate(parsed) if token.type == "heading_open"
    )
    plain = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles)
    return frozenset(re.sub(r"\s+", "-", title) for title in plain)


def broken_links(path: Path) -> list[str]:
    """List the links of a page that lead nowhere in the repository."""
    broken = []
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        to = (path.parent / file).resolve() if file else path
        if to.is_relative_to(ROOT) and _GENERATED.match(to.relative_to(ROOT).as_posix()):
            continue
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
            broken.append(link)
    return broken


def missing_files(path: Path) -> list[str]:
    """List the scripts that a page names, in backticks or commands, and that are not there."""
    named = []
    for token in tokens(path):
        if token.type in ("fence", "code_block", "code_inline"):
            for module, script in _COMMAND.findall(token.content):
                named.append(script or module.replace(".", "/"))
        if token.type == "code_inline" and _SCRIPT.fullmatch(token.content):
            named.append(token.content)
    return [
        name for name in named if not any((ROOT / f"{name}{end}").exists() for end in ("", ".py"))
    ]


def external_links() -> list[str]:
    """List where the pages lead outside the repository."""
    return sorted({link for path in pages() for link in links(path) if link.startswith("http")})


def main() -> None:
    """Print what is broken, or the external links; exit with 1 if anything is broken."""
    if "--external" in sys.argv[1:]:
        sys.stdout.write("".join(f"{link}\n" for link in external_links()))
        return
    found = [
        f"{path.relative_to(ROOT)}: {name} leads nowhere\n"
        for path in pages()
        for name in (*broken_links(path), *missing_files(path))
    ]
    sys.stdout.write("".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
