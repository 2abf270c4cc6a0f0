"""Arguments and options that several commands share: names, help, and what is refused at once.

Nothing heavy is imported here, so that help and mistakes are answered at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from convivo import config


def _checked(parse: Callable[..., object], where: str) -> Callable[[str | None], str | None]:
    """Refuse nonsense before anything heavy is imported; the verb gets the text as it is."""

    def callback(value: str | None) -> str | None:
        if value is not None:
            parse(value, where)
        return value

    return callback


def option(text: str, *names: str, show_default: bool = False, **more: Any) -> Any:
    return typer.Option(*names, help=text, show_default=show_default, **more)


def _budget(text: str, name: str, parse: Callable[..., object], metavar: str) -> Any:
    return option(text, name, metavar=metavar, callback=_checked(parse, name))


DATA_HELP = "Folder or file with the data, in any known layout."
Data = Annotated[Path, typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Task = Annotated[str | None, option("What to learn; else seen from the data.", "--task")]
Layout = Annotated[str | None, option("How DATA is laid out; else recognised.", "--layout")]
Subject = Annotated[
    str | None, option("Its match in a case's path is the subject.", "--subject", metavar="REGEX")
]
Labels = Annotated[
    str | None, option("Names of classes, as 0=membrane,255=cell.", "--labels", metavar="MAP")
]
Positive = Annotated[str | None, option("Of two classes, the one to find.", "--positive")]
Net = Annotated[str | None, option("Network (`convivo nets`); else chosen.", "--net")]
Ram = Annotated[str | None, _budget("Memory to stay within.", "--ram", config.size, "8G")]
Vram = Annotated[str | None, _budget("Memory of the accelerator.", "--vram", config.size, "24G")]
Time = Annotated[str | None, _budget("Wall clock to end within.", "--time", config.duration, "20m")]
Epochs = Annotated[int | None, option("Passes over the training data.", "--epochs", min=1)]
Out = Annotated[Path, option("Folder to write to.", "--out")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], option("Where to compute.", "--device")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"], option("Numbers to compute with.", "--precision")
]
Mirrors = Annotated[
    bool, option("Mean over mirror images too; passes double for each axis.", "--tta")
]
Threads = Annotated[int | None, option("CPU threads.", "--threads", min=1)]
Settings = Annotated[
    list[str] | None, option("One key of the configuration.", "--set", metavar="KEY=VALUE")
]
Accept = Annotated[
    list[str] | None,
    option("Train in spite of this error of the data.", "--accept", metavar="CODE"),
]
