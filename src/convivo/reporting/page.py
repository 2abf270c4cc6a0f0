"""Report -> report.html: one file that needs nothing else, written whole or not at all."""

import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from convivo.reporting.content import Report
from convivo.reporting.costs_card import costs_card
from convivo.reporting.data_card import data_card
from convivo.reporting.gallery import gallery
from convivo.reporting.headline import headline, warnings
from convivo.reporting.plan_card import plan_card
from convivo.reporting.plots import SERIES_DARK, SERIES_LIGHT
from convivo.reporting.receipt_card import receipt_card
from convivo.reporting.results_card import results_card


def render(report: Report) -> str:
    """The page as text. Every text of the report is escaped: names of files are not trusted."""
    return (
        environment()
        .get_template("report.html")
        .render(
            title=report.title,
            style=style_sheet(),
            headline=headline(report),
            warnings=warnings(report),
            data=data_card(report),
            plan=plan_card(report),
            costs=costs_card(report),
            results=results_card(report),
            gallery=gallery(report),
            receipt=receipt_card(report),
        )
    )


@cache
def environment() -> Environment:
    """Where templates come from; built once, since compiling them costs more than filling them."""
    return Environment(
        loader=PackageLoader("convivo.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style_sheet() -> Markup:
    """The package's CSS, with the palette of the plots filled in."""
    css = (files("convivo.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    for mark, colors in (("light", SERIES_LIGHT), ("dark", SERIES_DARK)):
        rules = " ".join(f"--c{n}: {color};" for n, color in enumerate(colors))
        css = css.replace(f"/* series-{mark} */", rules)
    return Markup(css)


def write_report(report: Report, path: Path) -> Path:
    """Write the page to `path`; a reader sees the old file or the new one, never half of it.

    Returns:
        The path written.
    """
    # Names of files that are no valid text hold lone surrogates, which no encoding takes.
    data = render(report).encode("utf-8", errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
