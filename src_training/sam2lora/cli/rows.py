"""Rows for people and for pipes: a table on a terminal, cells between tabs anywhere else."""

from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_LEAST_WIDTH = 60  # columns of a terminal in which a table of sentences can be read


def print_rows(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    stderr: bool = False,
) -> None:
    """Print rows so that no cell is cut, however long it is and however narrow the terminal.

    Parameters
    ----------
    header
        Names of the columns; shown in tables only.
    rows
        Cells as they are, without markup.
    title
        Shown above the rows.
    stderr
        Print to the standard error rather than to the standard output.
    """
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal or console.width < _LEAST_WIDTH:
        for line in [*([title] if title else []), *map("\t".join, rows)]:
            typer.echo(line, err=stderr)
        return
    table = Table(title=title, title_justify="left")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def number(value: float | None, *, signed: bool = False) -> str:
    """Write a number with four digits, with its sign if asked for; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:+.4f}" if signed else f"{value:.4f}"
