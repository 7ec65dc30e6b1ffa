"""`sam2lora models`: list, download and verify base models."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import rich.progress
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sam2lora.errors import ModelError
from sam2lora.models.registry import (
    BASE_MODELS,
    WEIGHTS_NOTICE,
    BaseModel,
    fetch_base,
    get_base,
    verify_base,
)
from sam2lora.utils.download import DownloadProgress, cache_folder

app = typer.Typer(help="List, download and verify base models.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help=f"One of: {', '.join(BASE_MODELS)}.")]


@app.command("list")
def list_models() -> None:
    """List the base models: size, license, and whether they are downloaded."""
    table = Table("model", "parameters", "input", "here", "license", box=box.SIMPLE)
    for base in BASE_MODELS.values():
        table.add_row(
            base.name,
            f"{base.parameters / 1e6:.1f} M",
            f"{base.input_size}²",
            _presence(base),
            base.license,
        )
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(WEIGHTS_NOTICE)


@app.command("download")
def download_model(name: _Name) -> None:
    """Download a base model, or continue where the last attempt stopped."""
    base = get_base(name)
    console = Console(soft_wrap=True)
    if base.embedded:
        console.print(f"{name} comes with the package: there is nothing to download.")
        return
    with download_bar(name, base.size) as show:
        path = fetch_base(base, progress=show)
    console.print(f"{name} is downloaded and verified: {path}", highlight=False)


@app.command("verify")
def verify_model(
    name: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(BASE_MODELS)}; or the path of a file.")
    ],
) -> None:
    """Check a base model again: checksum, names, shapes, identity. Downloads nothing."""
    from sam2lora.models.loading import load_base

    base = BASE_MODELS.get(name)
    screen = Console(stderr=True)
    if base is not None and not base.embedded:
        if not base.path.exists():
            raise ModelError(
                f"{name} is not on this computer, so there is nothing to verify. Download it with: "
                f"sam2lora models download {name}"
            )
        with screen.status("Reading the file"):
            verify_base(base, again=True)
    with screen.status("Loading the weights"):
        loaded = load_base(name, offline=True)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"file        {loaded.path}")
    console.print(f"fits        {loaded.spec.name}, {loaded.spec.parameters} parameters")
    console.print(f"identity    {loaded.weights_sha256}")
    if base is not None and base.sha256 is not None:
        console.print(f"SHA-256     {base.sha256}, as published")


@app.command("path")
def print_path(
    name: Annotated[str, typer.Argument(help="A base model, for the path of its file.")] = "",
) -> None:
    """Print the folder of downloaded models, or the path where a model is expected."""
    typer.echo(str(get_base(name).path if name else cache_folder()))


@contextmanager
def download_bar(name: str, size: int | None = None) -> Iterator[DownloadProgress]:
    """Show on a terminal the progress of a download, once it has started."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with rich.progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(name), total=size, visible=False)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield show


def _presence(base: BaseModel) -> str:
    if base.embedded:
        return "in the package"
    if base.path.exists():
        return "yes"
    return "no" if base.size is None else f"no ({base.size / 1e6:.0f} MB)"
