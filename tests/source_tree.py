"""The modules of both packages, and what they import, read from their sources."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PACKAGES = {name: Path(find_spec(name).origin).parent for name in ("sam2lora", "napari_sam2lora")}


def modules() -> dict[str, Path]:
    """Return every module of both packages by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}


def imports(source: str, module: str = "package.module") -> set[str]:
    """Return the dotted names that `source` imports, inside functions too, but not for type checks.

    `from a import b` counts as both `a` and `a.b`, since `b` may be a module.
    """
    found = set()
    for node in _without_type_checks(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(module.split(".")[: -node.level]) if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            found.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return found


def _without_type_checks(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _without_type_checks(child)


def roots(source: str) -> set[str]:
    """Return the top-level packages that `source` imports."""
    return {name.split(".")[0] for name in imports(source)}


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return one cycle of a directed graph, or an empty list."""
    finished: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in finished:
            for successor in sorted(graph[node]):
                if found := visit(successor, [*path, node]):
                    return found
            finished.add(node)
        return []

    return next((found for node in graph if (found := visit(node, []))), [])
