"""Compare or combine two existing reports, for `sam2lora evaluate`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sam2lora.cli.rows import number, print_rows
from sam2lora.errors import SettingsError

if TYPE_CHECKING:
    from sam2lora.evaluation import Side


def check_options(context: typer.Context, option: str, *, used: Collection[str]) -> None:
    """Refuse options of an evaluation next to one for two reports: they would have no effect.

    Parameters
    ----------
    context
        Context of the command.
    option
        The option that takes two reports, as `--compare`.
    used
        Names of the parameters that it can be combined with.

    Raises
    ------
    SettingsError
        If others are given; the message lists them.
    """
    parameter = option.removeprefix("--").replace("-", "_")
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    others = [
        "ROOT" if name == "roots" else f"--{name.replace('_', '-')}"
        for name in given
        if name != parameter and name not in used
    ]
    if others:
        allowed = ", ".join(f"--{name}" for name in sorted(used))
        raise SettingsError(
            f"{option} takes two existing reports; it can be combined with {allowed} only, not "
            f"with {', '.join(others)}."
        )


def compare_reports(
    reports: tuple[Path, Path], models: Sequence[str], out: Path, *, command: str, seed: int
) -> None:
    """Compare two reports; write the comparison and print its Dice."""
    from sam2lora.evaluation import write_comparison

    a, b = _sides("--compare", reports, models)
    comparison = write_comparison(out, a, b, command=command, seed=seed)
    header = ("dataset", "prompts", "A", "B", "B - A", "95 % interval", "images")
    rows = [
        (
            entry.dataset,
            entry.regime,
            number(entry.a),
            number(entry.b),
            number(entry.difference, signed=True),
            f"{number(entry.low, signed=True)} to {number(entry.high, signed=True)}",
            str(entry.n),
        )
        for entry in comparison.differences
        if entry.metric == "dice"
    ]
    print_rows(header, rows, title=f"Dice: A {a.model}, B {b.model}")
    typer.echo(f"Comparison: {out / 'comparison.md'}")


def join_cup_and_disc(
    reports: tuple[Path, Path], models: Sequence[str], out: Path, *, command: str
) -> None:
    """Compute cup/disc ratios from two reports; write them and print their errors."""
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
