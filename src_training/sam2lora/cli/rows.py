"""Print rows: as a table on a terminal, as tab-separated values anywhere else."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from sam2lora.datasets import Problem

_LEAST_WIDTH = 60  # columns of a terminal; narrower ones cannot show a table of sentences
_SHOWN = 5  # masks that are named; the rest are counted


def print_rows(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    stderr: bool = False,
) -> None:
    """Print rows without cutting any cell, however narrow the terminal.

    Parameters
    ----------
    header
        Names of the columns; printed in tables only.
    rows
        The cells of each row, printed without interpreting markup.
    title
        Printed above the rows.
    stderr
        Whether to print to the standard error instead of the standard output.
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
    """Format a number with four decimals, with its sign if `signed`; None as a dash."""
    if value is None:
        return "-"
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def print_suspicious(problems: Sequence["Problem"]) -> None:
    """Print which masks seem inverted, before they are used."""
    for problem in problems[:_SHOWN]:
        typer.echo(f"{problem.path}: {problem.text}", err=True)
    if problems:
        more = f"{len(problems) - _SHOWN} more masks seem so. " if len(problems) > _SHOWN else ""
        typer.echo(
            f"{more}They are used as they are. Invert them if they mark what is not the target; "
            "`sam2lora datasets check` lists every one.",
            err=True,
        )
