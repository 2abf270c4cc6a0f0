"""What needs neither data nor a run: networks, this machine, a demonstration, the lab."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from convivo.commands.options import (
    option,
)
from convivo.console import Answer


def nets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A network.")] = None,
) -> Answer:
    """List the networks, or describe one."""
    from convivo.verbs.nets import describe, listed, networks

    if name is None:
        document = networks()
        return Answer(document, lambda: listed(document))
    return Answer(networks(name), lambda: describe(name))


def doctor(
    context: typer.Context,
    quick: Annotated[bool, option("Look, but measure nothing.", "--quick")] = False,
) -> Answer:
    """Look at this machine, and measure its memory and speed for later plans."""
    from convivo.verbs.doctor import doctor as verb

    found = verb(quick=quick, quiet=context.obj)
    return Answer(found.document(), found.text)


def demo(
    context: typer.Context,
    dims: Annotated[int | None, option("1, 2 or 3; else all.", "--dims", min=1, max=3)] = None,
    out: Annotated[Path, option("Folder to write to.", "--out", show_default=True)] = Path("demo"),
) -> Answer:
    """Do the whole job on phantoms, ending in reports."""
    from convivo.verbs.demo import demo as verb

    document = verb(dims=dims, out=out, quiet=context.obj)
    return Answer(document, lambda: "\n".join(f"report: {path}" for path in document["reports"]))


def lab(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH...]", help="Folders or files that the page may open."),
    ] = None,
    port: Annotated[int, option("Where to listen, if it is free.", "--port", min=0, max=65535)] = (
        7747
    ),
    no_browser: Annotated[bool, option("Only print the address.", "--no-browser")] = False,
) -> Answer:
    """Open the lab: a page on this machine that shows each number of a convolution."""
    from convivo.lab.server import run as verb

    say = partial(print, flush=True)
    document = verb(paths or [], port=port, browser=not no_browser, say=say)
    return Answer(document, lambda: "the lab is closed; its files are removed")
