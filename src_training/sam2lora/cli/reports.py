"""What `sam2lora evaluate` does with two reports that are there already."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sam2lora.cli.rows import number, print_rows
from sam2lora.errors import SettingsError

if TYPE_CHECKING:
    from sam2lora.evaluation import Side


def check_options(context: typer.Context, option: str, *, used: Collection[str]) -> None:
    """Refuse options of an evaluation beside one of two reports: they would do nothing.

    Parameters
    ----------
    context
        Of the command.
    option
        The one that takes two reports, as `--compare`.
    used
        Names of the parameters that go with it.

    Raises
    ------
    SettingsError
        If others are given; the message names them.
    """
    own = option.removeprefix("--").replace("-", "_")
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    others = [
        "ROOT" if name == "roots" else f"--{name.replace('_', '-')}"
        for name in given
        if name != own and name not in used
    ]
    if others:
        goes = ", ".join(f"--{name}" for name in sorted(used))
        raise SettingsError(
            f"{option} takes two reports that are there already; it goes with {goes} only, not "
            f"with {', '.join(others)}."
        )


def compare_reports(
    reports: tuple[Path, Path], models: Sequence[str], out: Path, *, command: str, seed: int
) -> None:
    """Compare two reports, and say what came out."""
    from sam2lora.evaluation import write_comparison

    a, b = _sides("--compare", reports, models)
    comparison = write_comparison(out, a, b, command=command, seed=seed)
    header = ("data set", "prompts", "A", "B", "B - A", "95 % interval", "images")
    rows = [
        (
            one.dataset,
            one.regime,
            number(one.a),
            number(one.b),
            number(one.difference, signed=True),
            f"{number(one.low, signed=True)} to {number(one.high, signed=True)}",
            str(one.n),
        )
        for one in comparison.differences
        if one.metric == "dice"
    ]
    print_rows(header, rows, title=f"Dice: A {a.model}, B {b.model}")
    typer.echo(f"Comparison: {out / 'comparison.md'}")


def join_cup_and_disc(
    reports: tuple[Path, Path], models: Sequence[str], out: Path, *, command: str
) -> None:
    """Work out cup/disc ratios from two reports, and say how far off they are."""
    from sam2lora.evaluation import write_cup_disc
    from sam2lora.evaluation.report.cup_disc_ratio import ratio_rows

    disc, cup = _sides("--cup-disc", reports, models)
    entries = write_cup_disc(out, disc, cup, command=command)
    header, *rows = ratio_rows(entries)
    print_rows(header, rows, title=f"Vertical cup/disc ratio: {disc.model}, {cup.model}")
    typer.echo(f"Ratios: {out / 'cup_disc.md'}")


def _sides(option: str, reports: tuple[Path, Path], models: Sequence[str]) -> tuple["Side", "Side"]:
    from sam2lora.evaluation import Side

    if len(models) > 2:
        raise SettingsError(
            f"{option} takes --adapter at most twice: once for each report, in their order."
        )
    names = (models[0], models[-1]) if models else (None, None)
    return Side(reports[0], names[0]), Side(reports[1], names[1])
