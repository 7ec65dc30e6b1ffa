"""The command line `sam2lora`: one module a command; heavy imports happen inside the commands."""

import errno
import io
import logging
import sys
import warnings
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sam2lora import __version__
from sam2lora.cli.adapters import app as adapters_app
from sam2lora.cli.datasets import app as datasets_app
from sam2lora.cli.demo import demo
from sam2lora.cli.evaluate import evaluate
from sam2lora.cli.measure import measure
from sam2lora.cli.models import app as models_app
from sam2lora.cli.predict import predict
from sam2lora.cli.session import app as session_app
from sam2lora.cli.train import train
from sam2lora.errors import Sam2LoraError
from sam2lora.utils.decoders import silence_decoders

app = typer.Typer(
    name="sam2lora",
    help="Segment retinal fundus images with SAM 2 adapted by LoRA, and train the adapters.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets_app, name="datasets")
app.add_typer(models_app, name="models")
app.add_typer(adapters_app, name="adapters")
app.add_typer(session_app, name="session")
app.command()(predict)
app.command()(measure)
app.command()(train)
app.command()(evaluate)
app.command()(demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sam2lora {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Handle the options that come before the command."""
    if debug:
        logging.basicConfig()
        logging.getLogger("sam2lora").setLevel(logging.DEBUG)
        return
    silence_decoders()


def main() -> None:
    """Run the command line; a `Sam2LoraError` becomes one line on stderr and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: any file name can be printed
    # Pillow warns of images that we refuse anyway, Matplotlib of characters it draws as boxes.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit|Glyph .* missing from")
    try:
        app(prog_name="sam2lora")  # also when started as `python -m sam2lora`
    except Sam2LoraError as error:
        _exit_with(str(error))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _exit_with(f"{str(error.filename)[:100]}...: is longer than a path may be. Check it.")


def _exit_with(text: str) -> NoReturn:
    """Print the error that is being handled as one line; with --debug, raise it again."""
    if "--debug" in sys.argv:
        raise
    console = Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)
    console.print(f"error: {text}", style="red")
    sys.exit(2)
