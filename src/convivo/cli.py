"""The command line: options in, one verb called, its answer printed. No work is done here.

The commands are functions of `commands/`; here they get their order and what all have in common.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from convivo import console
from convivo.commands.looking import demo, doctor, lab, nets
from convivo.commands.options import option
from convivo.commands.preparing import get, inspect, plan, train
from convivo.commands.using import compare, evaluate, export, generate, predict, verify

EPILOG = "With any command: --json prints one JSON document, -q no progress, --debug tracebacks."

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command line (this process's own by default); returns the exit status."""
    return console.run(app, words)


@app.callback(invoke_without_command=True)
def convivo(
    context: typer.Context,
    json: Annotated[bool, option("Print one JSON document.", "--json")] = False,
    quiet: Annotated[bool, option("No progress.", "--quiet", "-q")] = False,
    debug: Annotated[bool, option("Show the traceback of an error.", "--debug")] = False,
    version: Annotated[bool, option("Print the version.", "--version")] = False,
) -> None:
    """From a folder of biomedical signals, images or volumes to a trained, measured network."""
    context.obj = quiet
    if version:
        from convivo import __version__

        typer.echo(f"convivo {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


# as the help lists them
for command in (
    *(inspect, plan, train, evaluate, predict, compare, generate, export),
    *(nets, doctor, demo, get, verify, lab),
):
    app.command(epilog=EPILOG)(command)
