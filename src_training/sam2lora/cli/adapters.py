"""`sam2lora adapters`: list, inspect, share and install adapters."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from sam2lora.adapters import Adapter, AdapterCard

app = typer.Typer(help="List, inspect and share adapters.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="Name of an installed adapter.")]
_NameOrPath = Annotated[
    str,
    typer.Argument(help="Name of an installed adapter, an adapter folder, or a run folder."),
]
_NewName = Annotated[str | None, typer.Option("--name", help="Name to install it under.")]
_Replace = Annotated[bool, typer.Option("--replace", help="Replace an existing one.")]
_Repository = Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub.")]


@app.command("list")
def list_all() -> None:
    """List the installed adapters, and folders that are no usable adapter."""
    from sam2lora.adapters import adapters_folder, list_adapters, list_problems

    table = Table("adapter", "target", "base", "rank", "trained", "Dice", "created", "source")
    found = list_adapters()
    for adapter in found:
        card = adapter.card
        dice = card.validation.get("dice")
        table.add_row(
            adapter.name,
            card.target.name,
            card.base.name,
            str(card.lora.rank),
            f"{card.share:.2f} %",
            f"{dice:.3f}" if isinstance(dice, float) else "",
            card.created.strftime("%Y-%m-%d"),
            "package" if adapter.shipped else "user",
        )
    console = Console(soft_wrap=True, highlight=False)
    if found:
        console.print(table)
    else:
        console.print("There is no adapter yet. Train one, or import one.")
    console.print(f"Folder of your adapters: {adapters_folder()}", markup=False)
    for problem in list_problems():
        console.print(f"Not usable: {problem}", style="yellow", markup=False)


@app.command()
def info(
    name: _NameOrPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole card as JSON.")] = False,
) -> None:
    """Show the target, base model, training and license of an adapter."""
    from sam2lora.adapters import find_adapter

    adapter = find_adapter(name)
    card, size = adapter.card, sum(path.stat().st_size for path in adapter.tensor_files)
    if as_json:
        typer.echo(card.to_json(), nl=False)
        return
    rows = {
        "adapter": adapter.name,
        "folder": adapter.folder,
        "target": f"{card.target.name} (from a probability of {card.threshold:g})",
        "base model": f"{card.base.name}, identity {card.base.identity}",
        "LoRA": f"{card.lora.placement}, rank {card.lora.rank}, alpha {card.lora.alpha:g}"
        + (", with mask heads" if card.lora.train_heads else ""),
        "detail head": _describe_head(card),
        "trained": f"{card.trainable} weights, {card.share:.2f} % of the base model's",
        "input mode": card.geometry.description,
        "validation": _in_one_line(card.validation),
        "data": _in_one_line(card.data),
        "initial adapter": card.started_from.name if card.started_from else "",
        "created": f"{card.created:%Y-%m-%d %H:%M %Z}",
        "created with": _in_one_line(card.versions),
        "file": f"{size / 1e6:.2f} MB, SHA-256 {adapter.digest()}",
        "license": card.license,
        "notice": card.notice,
    }
    table = Table.grid(padding=(0, 2))
    for title, value in rows.items():
        if value:
            table.add_row(title, escape(str(value)))
    Console(highlight=False).print(table)


@app.command("export")
def export(
    name: _NameOrPath,
    out: Annotated[Path, typer.Option(help="The file, or a folder for it.")] = Path(),
    replace: _Replace = False,
) -> None:
    """Write an adapter as one .zip file, to share it."""
    from sam2lora.adapters import export_adapter, find_adapter

    adapter = find_adapter(name)
    path = export_adapter(adapter, out, replace=replace)
    _print(f"{adapter.name} is exported: {path} ({path.stat().st_size / 1e6:.2f} MB)")
    _print(f"License: {adapter.card.license}. {adapter.card.notice}")


@app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="A .zip file from `adapters export`, an adapter folder, or a run folder for its "
            "best adapter."
        ),
    ],
    name: _NewName = None,
    replace: _Replace = False,
) -> None:
    """Install an adapter from a .zip file or a folder, after checking it completely."""
    from sam2lora.adapters import import_adapter

    _report_installed(import_adapter(path, name=name, replace=replace))


@app.command()
def rename(name: _Name, new_name: Annotated[str, typer.Argument(help="The new name.")]) -> None:
    """Rename one of your adapters."""
    from sam2lora.adapters import rename_adapter

    renamed = rename_adapter(name, new_name)
    _print(f"{name} is renamed to {renamed.name}.")


@app.command()
def delete(
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Delete one of your adapters for good."""
    from sam2lora.adapters import delete_adapter, user_adapter_folder

    folder = user_adapter_folder(name)
    if not yes:
        typer.confirm(f"Delete {name} in {folder}?", abort=True)
    delete_adapter(name)
    _print(f"{name} is deleted.")


@app.command()
def push(
    name: _NameOrPath,
    repository: _Repository,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public.")] = False,
) -> None:
    """Upload an adapter to the Hugging Face Hub, with the account of `hf auth login`."""
    from sam2lora.adapters import find_adapter, push_adapter

    adapter = find_adapter(name)
    address = push_adapter(adapter, repository, private=not public)
    _print(f"{adapter.name} is uploaded: {address}")
    _print(f"License: {adapter.card.license}. {adapter.card.notice}")


@app.command()
def pull(
    repository: _Repository,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; a commit never changes.")
    ] = None,
    name: _NewName = None,
    replace: _Replace = False,
) -> None:
    """Download an adapter from the Hugging Face Hub, check it completely, and install it."""
    from sam2lora.adapters import pull_adapter

    _report_installed(pull_adapter(repository, revision=revision, name=name, replace=replace))


def _report_installed(adapter: "Adapter") -> None:
    """Print what was installed, and add its target to the known ones."""
    from sam2lora.adapters import adopt_target

    card = adapter.card
    _print(f"{adapter.name} is installed: {card.target.name} on {card.base.name}.")
    added = adopt_target(adapter)
    if added:
        _print(f"New target: {added.name!r}, label value {added.label}.")
    _print(f"License: {card.license}. {card.notice}")


def _describe_head(card: "AdapterCard") -> str:
    head = card.detail_head
    if head is None:
        return ""
    channels = "-".join(map(str, head.channels))
    inputs = ", ".join(("red, green and blue", *head.inputs))
    return f"{channels} channels, of {inputs}"


def _in_one_line(content: object) -> str:
    return json.dumps(content)[1:-1] if content else ""


def _print(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text, markup=False)
